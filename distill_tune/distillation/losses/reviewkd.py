"""Knowledge review: each stage of the teacher teaches the student's same stage and all deeper ones together.

Chen, Liu, Zhao, Jia, "Distilling Knowledge via Knowledge Review", CVPR 2021, https://arxiv.org/abs/2104.09044
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import FeatureLoss, Shape
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_LEVELS = (4, 2, 1)
_WIDEST = 512


def hierarchical_context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of two maps, and of their averages at 4 x 4, 2 x 2 and 1 x 1 places.

    Each level has half the weight of the one before, and the weights sum to 1; levels no smaller than the map are
    skipped.
    """
    from torch.nn.functional import adaptive_avg_pool2d, mse_loss

    found, weight, weights = mse_loss(student, teacher), 1.0, 1.0
    for level in _LEVELS:
        if level < max(student.shape[2:]):
            weight /= 2
            found = found + weight * mse_loss(adaptive_avg_pool2d(student, level), adaptive_avg_pool2d(teacher, level))
            weights += weight
    return found / weights


@LOSSES.register
class ReviewKD(FeatureLoss):
    """scale * `hierarchical_context_loss`, averaged over the stages of the teacher; the paper sums over them.

    The student's stages are fused from the deepest up by learned attention (`_review.py`).
    """

    takes: ClassVar[Literal["last", "stage", "stages", "maps"]] = "stages"
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"scale": {"log": [0.1, 10.0]}}
    fewest_samples: ClassVar[int] = 2  # batch normalisation needs two for a variance
    scale: Weight = 1.0

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module:
        """The fusions of all stages."""
        from distill_tune.distillation.losses._review import Review

        return Review(student, teacher, _WIDEST)

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See `hierarchical_context_loss`."""
        return self.scale * hierarchical_context_loss(student, teacher)
