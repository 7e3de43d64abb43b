"""Horizontal flip: `amount` is its probability."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Flip(Transform):
    """Mirror left and right."""

    amount: float = Field(ge=0, le=1)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Mirror each sample with probability `amount`."""
        mirrored = (draw.uniform("flip") < self.amount).view(-1, 1, 1, 1)
        return inputs.flip(-1).where(mirrored, inputs)
