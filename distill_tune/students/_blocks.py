"""Building blocks shared by the families. This module imports torch, so families import it inside `build`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SMALLEST_MAP = 4
"""Maps whose side is at most this are not halved again: strides become 1, so that any depth fits any image."""


class Normalise(nn.Module):
    """`(inputs - mean) / std` with one mean and std per channel; takes uint8 as well as floats."""

    mean: Tensor
    std: Tensor

    def __init__(self, input_shape: tuple[int, ...], mean: Sequence[float] = (), std: Sequence[float] = ()):
        super().__init__()
        channels = input_shape[0]
        shape = (channels, *(1 for _ in input_shape[1:]))
        self.register_buffer("mean", torch.tensor(list(mean) or [0.0] * channels).float().reshape(shape))
        self.register_buffer("std", torch.tensor([s or 1.0 for s in std] or [1.0] * channels).float().reshape(shape))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [batch, *input_shape] of any numeric type to float32 of the same shape."""
        return (inputs.to(self.mean.dtype) - self.mean) / self.std


class Normalised(nn.Module):
    """A network with the normalisation of its inputs in front."""

    def __init__(self, normalise: Normalise | None, network: nn.Module):
        super().__init__()
        self.normalise = nn.Identity() if normalise is None else normalise
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
        """Raw inputs [batch, *input_shape], which are not modified, to logits [batch, classes]."""
        if isinstance(self.normalise, nn.Identity):  # an in-place first layer would write into memory-mapped files
            inputs = inputs.clone()
        logits: Tensor = self.network(self.normalise(inputs))
        return logits


class Strides:
    """Grants strides, layer by layer, as long as the map is large enough to be halved."""

    def __init__(self, side: int):
        self.side = side

    def take(self, wanted: int) -> int:
        """The stride granted to a layer that requests `wanted`."""
        if wanted == 1 or self.side <= SMALLEST_MAP:
            return 1
        self.side = -(-self.side // wanted)
        return wanted


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, bias: bool = False) -> nn.Conv2d:
    """A padded convolution, initialised as in He et al. 2015 (https://arxiv.org/abs/1502.01852)."""
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return layer


def head(channels: int, classes: int, dropout: float = 0.0) -> list[nn.Module]:
    """Mean over the feature map [batch, channels, height, width], then logits [batch, classes]."""
    dropping = [nn.Dropout(dropout)] if dropout else []
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), *dropping, nn.Linear(channels, classes)]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them (He et al. 2016, https://arxiv.org/abs/1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.convolutions = nn.Sequential(
            conv(inputs, outputs, stride=stride),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            conv(outputs, outputs),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Sequential(conv(inputs, outputs, kernel=1, stride=stride), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [batch, inputs, height, width] to maps [batch, outputs, height / stride, width / stride]."""
        return torch.relu(self.convolutions(maps) + self.shortcut(maps))


class ResidualRow(nn.Module):
    """The block of the tabular ResNet: a row plus the output of a normalised two-layer network."""

    def __init__(self, width: int, dropout: float):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, 2 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Rows [batch, width] to rows [batch, width]."""
        added: Tensor = self.layers(rows)
        return rows + added
