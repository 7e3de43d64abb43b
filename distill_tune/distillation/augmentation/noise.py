"""Gaussian noise on the numbers of a table.

Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", Neural Computation 7, 1995. Numeric columns are
standardised when they are encoded (`data/encoder.py`), so `amount` is in standard deviations of the training split;
missing-value indicators and one-hot columns, which are 0 or 1, get the same noise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._quantiles import kept_normal
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Noise(Transform):
    """`amount` is the noise's standard deviation."""

    for_images: ClassVar[bool] = False
    for_tables: ClassVar[bool] = True
    amount: float = Field(ge=0, le=10)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Add noise to each number of [batch, features]."""
        return inputs + self.amount * kept_normal(draw, "noise", inputs.shape[1])
