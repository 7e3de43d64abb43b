"""CutMix: paste a box of another image into each image; the teacher sees and labels the same mixture.

Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019,
https://arxiv.org/abs/1905.04899. With lambda from Beta(alpha, alpha) the box has the sides sqrt(1 - lambda) times those
of the image and its centre anywhere, so part of it may lie outside; label shares follow the part inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._boxes import box, covered
from distill_tune.distillation.augmentation._quantiles import beta_share
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Cutmix(Transform):
    """`amount` is the alpha of Beta(alpha, alpha), from which the box's area is drawn."""

    mixes: ClassVar[bool] = True
    amount: float = Field(ge=0, le=10)

    def mix(self, inputs: Tensor, partners: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Paste a box of each partner; also return the share of each sample's own pixels, float32 [batch]."""
        part = (1 - beta_share(self.amount, draw, "cutmix share")).sqrt().unsqueeze(1)
        rows, columns = (_covered(part, draw, axis, inputs.shape[axis]) for axis in (2, 3))
        share = 1 - rows.sum(1) * columns.sum(1) / (inputs.shape[2] * inputs.shape[3])
        return partners.where(box(rows, columns), inputs), share


def _covered(part: Tensor, draw: Draw, axis: int, size: int) -> Tensor:
    """Where the box covers one axis; `part`, [batch, 1], is its relative length."""
    length = (part * size).floor().long()  # as published: rounded down
    first = draw.below(size, f"cutmix {axis}").unsqueeze(1) - length // 2
    return covered(first, length, size)
