"""Hints: the student's feature, passed through a jointly learned regressor, should equal the teacher's.

Romero, Ballas, Kahou, Chassang, Gatta, Bengio, "FitNets: Hints for Thin Deep Nets", ICLR 2015,
https://arxiv.org/abs/1412.6550
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import FeatureLoss, Shape
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn


def hint_loss(projected: Tensor, teacher: Tensor) -> Tensor:
    """Half the squared difference, averaged over all elements of all samples; the paper sums over a sample's."""
    return (projected - teacher).square().mean() / 2


@LOSSES.register
class Hint(FeatureLoss):
    """scale * 1/2 * mean of (regressor(student) - teacher)^2; see `hint_loss`.

    The regressor is linear, or a 1x1 convolution for maps. The paper trains up to the hint first and then the whole
    network; here, as has become usual, the term is minimised with the others.
    """

    takes: ClassVar[Literal["last", "stage", "stages", "maps"]] = "stage"
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"scale": {"log": [0.1, 10.0]}}
    scale: Weight = 1.0
    """The term grows with the square of the teacher's features; raise the scale if those are small."""

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module:
        """One regressor per pair."""
        from distill_tune.distillation.losses._projectors import Each, Regressor

        return Each([Regressor(ours, theirs) for ours, theirs in zip(student, teacher, strict=True)])

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See `hint_loss`."""
        return self.scale * hint_loss(student, teacher)
