"""Feature swap: replace some values of a row by those of other rows.

Each feature is replaced, with some probability, by the same feature of a randomly drawn row, so every value is one that
occurs: the corruption of SCARF (Bahri et al. 2022, https://arxiv.org/abs/2106.15147), known earlier as swap noise
(M. Jahrer's winning denoising autoencoder, Porto Seguro, Kaggle 2017). The label stays; the teacher labels the changed
row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor

_FINENESS = 1 << 24


@AUGMENTATIONS.register
class Swap(Transform):
    """`amount` is the probability per feature; the columns of a one-hot category are swapped independently."""

    for_images: ClassVar[bool] = False
    for_tables: ClassVar[bool] = True
    amount: float = Field(ge=0, le=1)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Replace features of [batch, features] by those of `draw.pool`, or of the batch if there is no pool."""
        pool = inputs if draw.pool is None else draw.pool
        features = inputs.shape[1]
        swapped = draw.below(_FINENESS, "swap", features) < round(self.amount * _FINENESS)
        return pool.gather(0, draw.below(len(pool), "swap partner", features)).where(swapped, inputs)
