"""Shift: move the image by up to `amount` pixels each way, with zeros filling the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Shift(Transform):
    """Translate by whole pixels, uniformly in [-amount, amount] on each axis."""

    amount: int = Field(ge=0, le=64)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Shift each sample's rows, then its columns."""
        for axis, stream in ((2, "shift rows"), (3, "shift columns")):
            offset = draw.below(2 * self.amount + 1, stream) - self.amount
            inputs = _moved(inputs, offset, axis)
        return inputs


def _moved(inputs: Tensor, offset: Tensor, axis: int) -> Tensor:
    import torch

    size = inputs.shape[axis]
    source = torch.arange(size, device=offset.device) - offset.unsqueeze(1)
    inside = (source >= 0) & (source < size)
    shape = [len(inputs), 1, 1, 1]
    shape[axis] = size
    taken = inputs.gather(axis, source.clamp(0, size - 1).view(shape).expand_as(inputs))
    return taken * inside.view(shape)
