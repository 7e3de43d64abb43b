"""Mixup: blend each sample with another; the teacher sees and labels the blend.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018, https://arxiv.org/abs/1710.09412. That the teacher
should see the same blend is from Beyer et al., "Knowledge distillation: A good teacher is patient and consistent",
2022, https://arxiv.org/abs/2106.05237
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._quantiles import beta_share
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Mixup(Transform):
    """`amount` is the alpha of Beta(alpha, alpha), from which the weight of the blend is drawn."""

    for_tables: ClassVar[bool] = True
    mixes: ClassVar[bool] = True
    amount: float = Field(ge=0, le=10)

    def share(self, draw: Draw) -> Tensor:
        """The weight of each sample against its partner."""
        return beta_share(self.amount, draw, "mixup share")
