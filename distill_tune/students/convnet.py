"""Plain convolutional network: each stage is one convolution that halves the map and doubles the channels.

Strides in place of pooling follow Springenberg et al. 2015 (https://arxiv.org/abs/1412.6806), separable
convolutions MobileNet (Howard et al. 2017, https://arxiv.org/abs/1704.04861).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from distill_tune.registry import STUDENTS
from distill_tune.students._base import FirstStride, Student, first_stride, require_image
from distill_tune.students._wiring import CLASSES, HEAD, INPUT, Wiring, body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn


@STUDENTS.register
class ConvNet(Student):
    """Convolutions, mean over the map, one linear layer."""

    for_tables: ClassVar[bool] = False
    width: Annotated[int, Field(ge=2, le=128)] = 16
    """Channels of the first stage; they double with each further stage."""
    depth: Annotated[int, Field(ge=1, le=6)] = 3
    """Number of stages."""
    kernel: Literal[3, 5] = 3
    """Side of the convolution kernels in pixels."""
    norm: Literal["batch", "none"] = "batch"
    separable: bool = False
    """From the second stage on: one filter per channel, then a mix of channels; fewer weights, slower per weight."""
    first_stride: FirstStride = None

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """Images [batch, channels, height, width] to logits [batch, classes]."""
        require_image("convnet", input_shape)
        from torch import nn

        from distill_tune.students._blocks import Strides, head

        strides = Strides(min(input_shape[1:]))
        first = strides.take(self.first_stride or first_stride(input_shape))
        layers = self._stage(input_shape[0], self.width, first, separable=False)
        for stage in range(1, self.depth):
            outputs = self.width * 2**stage
            layers += self._stage(outputs // 2, outputs, strides.take(2), self.separable)
        return nn.Sequential(*layers, *head(self.width * 2 ** (self.depth - 1), classes))

    def without_effect(self, input_shape: tuple[int, ...]) -> Mapping[str, str]:
        """`separable` if there is only the first stage."""
        return {"separable": "depth is 1, and the first stage is never separable"} if self.depth == 1 else {}

    def wiring(self, network: nn.Module) -> Wiring:
        """Each stage, one convolution or a depthwise one and a mix, makes its own group."""
        from torch import nn

        wiring, group, stage, role = Wiring(network), INPUT, -1, ""
        for name, module in network.named_children():
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                stage, role = stage + 1, "depthwise"
                wiring.add(body(stage), role, name, None, group)
            elif isinstance(module, nn.Conv2d):
                stage, role = (stage, "mix") if role == "depthwise" else (stage + 1, "main")
                group = wiring.add(body(stage), role, name, group, wiring.new_group())
            elif isinstance(module, nn.BatchNorm2d):
                wiring.add(body(stage), f"{role}.norm", name, None, group)
            elif isinstance(module, nn.Linear):
                wiring.add(HEAD, "main", name, group, CLASSES)
        return wiring

    def _stage(self, inputs: int, outputs: int, stride: int, separable: bool) -> list[nn.Module]:
        if not separable:
            return self._convolution(inputs, outputs, stride)
        depthwise = self._convolution(inputs, inputs, stride, groups=inputs)
        return depthwise + self._convolution(inputs, outputs, kernel=1)

    def _convolution(
        self, inputs: int, outputs: int, stride: int = 1, groups: int = 1, kernel: int | None = None
    ) -> list[nn.Module]:
        from torch import nn

        from distill_tune.students._blocks import conv

        plain = self.norm == "none"
        convolution = conv(inputs, outputs, kernel or self.kernel, stride, groups, bias=plain)
        return [convolution, *([] if plain else [nn.BatchNorm2d(outputs)]), nn.ReLU(inplace=True)]
