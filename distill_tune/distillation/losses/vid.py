"""Variational information distillation: maximise the mutual information of student and teacher features.

Ahn, Hu, Damianou, Lawrence, Dai, "Variational Information Distillation for Knowledge Transfer", CVPR 2019,
https://arxiv.org/abs/1904.05835
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import FeatureLoss, Shape
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

_VARIANCE = 5.0
_LEAST_VARIANCE = 1e-5
"""A channel's initial variance and its lower bound, as in the usual implementation."""


def vid_loss(mean: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    """1/2 * (log variance + (teacher - mean)^2 / variance), averaged over all elements of all samples.

    Up to a constant it is -log q(teacher | student), the bound on the two features' mutual information (equation 5);
    it is negative if the teacher is predicted well. `variance` is one number per channel.
    """
    return ((teacher - mean).square() / variance + variance.log()).mean() / 2


@LOSSES.register
class Vid(FeatureLoss):
    """scale * `vid_loss`, averaged over the stages.

    q is normal; its mean is the student's feature passed through three layers (1x1 convolutions for maps), its variance
    one number per teacher channel. Both are learned with the student.
    """

    takes: ClassVar[Literal["last", "stage", "stages", "maps"]] = "stages"
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"scale": {"log": [0.1, 10.0]}}
    scale: Weight = 1.0

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module:
        """One normal distribution per pair."""
        from distill_tune.distillation.losses._projectors import Each, Gaussian

        pairs = zip(student, teacher, strict=True)
        return Each([Gaussian(ours, theirs, _VARIANCE, _LEAST_VARIANCE) for ours, theirs in pairs])

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See `vid_loss`; `student` is the mean."""
        return self.scale * vid_loss(student, teacher, others[0])
