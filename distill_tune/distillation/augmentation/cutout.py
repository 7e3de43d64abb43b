"""Cutout: hide a square of `amount` by `amount` pixels behind the training mean.

DeVries, Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout", 2017, https://arxiv.org/abs/1708.04552
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._boxes import box, covered
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Cutout(Transform):
    """A hole whose centre may be anywhere, so part of it may lie outside."""

    amount: int = Field(ge=0, le=256)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Fill the hole of each sample."""
        hole = box(*(self._covered(draw, axis, inputs.shape[axis]) for axis in (2, 3)))
        fill = inputs.new_zeros(()) if draw.fill is None else draw.fill.to(inputs.dtype).view(1, -1, 1, 1)
        return fill.where(hole, inputs)

    def _covered(self, draw: Draw, axis: int, size: int) -> Tensor:
        first = draw.below(size, f"cutout {axis}").unsqueeze(1) - self.amount // 2
        return covered(first, self.amount, size)
