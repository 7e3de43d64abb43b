"""What is seen of a network's modules in one pass: what each put out, and which axis of it has the channels.

Networks keep the channels of their maps first, as PyTorch's convolutions do, or last, as Swin and the blocks of
ConvNeXt do. The latest layer with weights tells: it made as many channels as it has units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

from distill_tune.distillation.features.tap import feature_of

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
"""Kinds of layers, and no classes derived from them, such as a normalisation of maps."""


class Made(NamedTuple):
    """The output of a layer with weights."""

    units: int = 0
    """Its channels."""
    numbers: int = 0
    """All that it has."""
    channels_last: bool = False
    """Whether a layer of its kind keeps them last."""


@dataclass
class Watch:
    """What was seen in one pass."""

    modules: dict[str, nn.Module]
    """The network's, by their names."""
    logits: Any = None
    """What the whole network put out."""
    order: list[str] = field(default_factory=list)
    """All modules, by when they ended; a module that is called again is where it ended last."""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """How often each output had been written to by the end of its module: a function may write to it afterwards."""
    made: dict[str, Made] = field(default_factory=dict)
    """What the latest layer with weights had made by the end of each module."""
    _latest: Made = field(default_factory=Made)

    def see(self, name: str, inputs: Any, output: Any) -> None:
        """A module has ended."""
        if name in self.outputs:
            self.order.remove(name)
        self.order.append(name)
        self.inputs[name], self.outputs[name] = inputs, output
        self.versions[name] = output._version if isinstance(output, Tensor) else 0
        units = _units_of(self.modules[name])
        if isinstance(output, Tensor) and units in (*output.shape[1:2], *output.shape[-1:]):
            self._latest = Made(units, output.numel(), type(self.modules[name]) in _CHANNELS_LAST)
        self.made[name] = self._latest

    def feature(self, name: str) -> Tensor | None:
        """What a module put out, channels first; None where it is no feature."""
        if self._are_heads(name):
            return None
        feature = feature_of(self.outputs[name], self.has_channels_last(name))
        return feature if feature is not None and len(feature) == 2 else None

    def has_channels_last(self, name: str) -> bool:
        """Whether a module's output is a map with its channels last, which are those of the latest layer."""
        output, made = self.outputs[name], self.made[name]
        if not isinstance(output, Tensor) or output.dim() != 4 or output.numel() != made.numbers:
            return False
        are_first, are_last = output.shape[1] == made.units, output.shape[3] == made.units
        return are_last and (made.channels_last or not are_first)

    def _are_heads(self, name: str) -> bool:
        """Whether an output of four axes is no map, but attention's heads: in a module that hands on tokens, or one."""
        output = self.outputs[name]
        if not isinstance(output, Tensor) or output.dim() != 4 or output.shape[1] == self.made[name].units:
            return False
        parts = name.split(".")
        around = [self.outputs.get(".".join(parts[:count])) for count in range(1, len(parts))]
        hands_on_one = bool(around) and isinstance(around[-1], Tensor) and around[-1].dim() == 2
        is_in_tokens = any(isinstance(each, Tensor) and each.dim() == 3 for each in around)
        return is_in_tokens or (hands_on_one and around[-1] is not self.logits and self.has_channels_last(name))


def _units_of(module: nn.Module) -> int:
    """How many channels a layer with weights makes; 0 of a module that is none."""
    weight = getattr(module, "weight", None)
    if next(module.children(), None) is not None or not isinstance(weight, Tensor) or not weight.dim():
        return 0
    if isinstance(module, nn.PReLU):  # an activation, which makes no channels
        return 0
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return module.out_channels
    return weight.shape[-1] if isinstance(module, nn.Embedding) else weight.shape[0]
