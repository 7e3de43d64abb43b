"""Probabilistic knowledge transfer: match the teacher's probability that a sample picks another as its neighbour.

Passalis, Tefas, "Learning Deep Representations with Probabilistic Knowledge Transfer", ECCV 2018,
https://arxiv.org/abs/1803.10837
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import FeatureLoss
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-7


def neighbour_probabilities(features: Tensor) -> Tensor:
    """[batch, batch]: row i has the probabilities that sample i picks each other, by (cosine + 1) / 2; never itself."""
    rows = features.flatten(1)
    lengths: Tensor = rows.norm(dim=1, keepdim=True)
    directions = rows / lengths.clamp_min(_TINY)
    likeness = (directions @ directions.mT + 1) / 2
    likeness = likeness.clamp_min(_TINY).tril(-1) + likeness.clamp_min(_TINY).triu(1)
    return likeness / likeness.sum(1, keepdim=True).clamp_min(_TINY)


def pkt_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(teacher || student) of the `neighbour_probabilities`, averaged over the samples, in nats."""
    ours, theirs = neighbour_probabilities(student), neighbour_probabilities(teacher)
    ratios = theirs.clamp_min(_TINY).log() - ours.clamp_min(_TINY).log()
    return (theirs * ratios).sum() / len(student)


@LOSSES.register
class Pkt(FeatureLoss):
    """scale * `pkt_loss`.

    It has no learned parts: only cosines are compared, so numbers of channels may differ. With several workers, each
    compares the samples of its own part of the batch.
    """

    compares_samples: ClassVar[bool] = True
    fewest_samples: ClassVar[int] = 3  # with two, each is the other's only neighbour
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"scale": {"log": [10.0, 1000.0]}}
    scale: Weight = 100.0
    """Large, because cosines differ little, so the divergence is small."""

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See `pkt_loss`."""
        return self.scale * pkt_loss(student, teacher)
