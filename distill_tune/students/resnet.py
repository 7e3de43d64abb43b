"""Residual networks, for images and for tables.

Images: He et al. 2016 (https://arxiv.org/abs/1512.03385). Tables: Gorishniy et al. 2021
(https://arxiv.org/abs/2106.11959).
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from distill_tune.registry import STUDENTS
from distill_tune.students._base import FirstStride, Student, first_stride
from distill_tune.students._wiring import CLASSES, HEAD, INPUT, STEM, Place, Wiring, body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from distill_tune.students._blocks import ResidualBlock


_ONLY_FOR_IMAGES = {"stages": "a table has one stage", "first_stride": "a table has no convolutions"}


@STUDENTS.register
class ResNet(Student):
    """Residual blocks of convolutions for images, or of linear layers for rows of a table."""

    width: Annotated[int, Field(ge=2, le=256)] = 16
    """Images: channels of the first stage, doubled with each further stage. Tables: width of a row."""
    depth: Annotated[int, Field(ge=1, le=8)] = 1
    """Blocks per stage."""
    stages: Annotated[int, Field(ge=1, le=4)] = 2
    """For images: number of stages; each after the first halves the map's side. For tables there is one."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """For tables: inside the blocks. For images: before the last layer."""
    first_stride: FirstStride = None

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """Inputs [batch, *input_shape] to logits [batch, classes]."""
        return self._for_images(input_shape, classes) if len(input_shape) == 3 else self._for_rows(input_shape, classes)

    def without_effect(self, input_shape: tuple[int, ...]) -> Mapping[str, str]:
        """What rows of a table have no use for."""
        return {} if len(input_shape) == 3 else _ONLY_FOR_IMAGES

    def wiring(self, network: nn.Module) -> Wiring:
        """Stem, blocks, head; the blocks of a stage write into one stream, and each has its own inner group."""
        from torch import nn

        from distill_tune.students._blocks import ResidualBlock, ResidualRow

        wiring, group, block = Wiring(network), INPUT, -1
        for name, module in network.named_children():
            if isinstance(module, ResidualBlock):
                block += 1
                group = _wire_block(wiring, body(*divmod(block, self.depth)), name, module, group)
            elif isinstance(module, ResidualRow):
                block += 1
                _wire_row(wiring, body(0, block), name, group)
            elif isinstance(module, nn.Conv2d | nn.Linear):
                place, made = (STEM, wiring.new_group()) if group == INPUT else (HEAD, CLASSES)
                group = wiring.add(place, "main", name, group, made)
            elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                wiring.add(STEM if block < 0 else HEAD, "norm", name, None, group)
        return wiring

    def _for_images(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        from torch import nn

        from distill_tune.students._blocks import ResidualBlock, Strides, conv, head

        strides = Strides(min(input_shape[1:]))
        first = strides.take(self.first_stride or first_stride(input_shape))
        layers: list[nn.Module] = [conv(input_shape[0], self.width, stride=first)]
        layers += [nn.BatchNorm2d(self.width), nn.ReLU(inplace=True)]
        inputs = self.width
        for stage in range(self.stages):
            outputs = self.width * 2**stage
            for block in range(self.depth):
                stride = strides.take(2) if stage and not block else 1
                layers.append(ResidualBlock(inputs, outputs, stride))
                inputs = outputs
        return nn.Sequential(*layers, *head(inputs, classes, self.dropout))

    def _for_rows(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        from torch import nn

        from distill_tune.students._blocks import ResidualRow

        blocks = [ResidualRow(self.width, self.dropout) for _ in range(self.depth)]
        last = [nn.BatchNorm1d(self.width), nn.ReLU(), nn.Linear(self.width, classes)]
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), self.width), *blocks, *last)


def _wire_block(wiring: Wiring, place: Place, name: str, block: ResidualBlock, stream: int) -> int:
    """Add a block for images; returns the stream it writes into: a new one if its shortcut is a convolution."""
    keeps = not list(block.shortcut.children())
    inside, inner, made = f"{name}.convolutions", wiring.new_group(), stream if keeps else wiring.new_group()
    wiring.add(place, "first", f"{inside}.0", stream, inner)
    wiring.add(place, "first.norm", f"{inside}.1", None, inner)
    wiring.add(place, "second", f"{inside}.3", inner, made)
    wiring.add(place, "second.norm", f"{inside}.4", None, made)
    if not keeps:
        wiring.add(place, "shortcut", f"{name}.shortcut.0", stream, made)
        wiring.add(place, "shortcut.norm", f"{name}.shortcut.1", None, made)
    return made


def _wire_row(wiring: Wiring, place: Place, name: str, stream: int) -> None:
    """Add a block for rows of a table."""
    inner = wiring.new_group()
    wiring.add(place, "norm", f"{name}.layers.0", None, stream)
    wiring.add(place, "first", f"{name}.layers.1", stream, inner)
    wiring.add(place, "second", f"{name}.layers.4", inner, stream)
