"""Relational distillation: match the teacher's distances between samples, and its angles between triples of them.

Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019, https://arxiv.org/abs/1904.05068
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import TIMES_ON_FEATURES, FeatureLoss
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-6
"""Two samples closer than this have no direction between them."""


def distances(rows: Tensor) -> Tensor:
    """[batch, batch]: Euclidean distances, divided by their mean over pairs that differ."""
    import torch

    found = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    mean = found.sum() / (found > 0).sum().clamp_min(1)
    return found / mean.clamp_min(_TINY)


def angles(rows: Tensor) -> Tensor:
    """[batch, batch, batch]: cosine of the angle at the first sample between the directions to the two others."""
    ways = rows[None] - rows[:, None]
    lengths: Tensor = ways.norm(dim=-1, keepdim=True)
    directions = ways / lengths.where(lengths > _TINY, 1)
    return directions @ directions.mT


@LOSSES.register
class Rkd(FeatureLoss):
    """distance_weight * huber(distances) + angle_weight * huber(angles), each averaged over all pairs and triples.

    huber(x) of the difference between student and teacher is x^2 / 2 up to 1 and |x| - 1/2 beyond. The paper uses
    features, which leave the last layer free; on features the weights count a hundredfold, near the paper's 25 and 50.
    Relations between logits do not identify the classes, so there the weights are small, to let the labels' term count.
    With several workers, each compares the samples of its own part.
    """

    compares_samples: ClassVar[bool] = True
    fewest_samples: ClassVar[int] = 3  # two have a single distance, which equals its mean, and no angle
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"angle_weight": {"log": [0.05, 1.0]}}
    weights: ClassVar[tuple[str, ...]] = ("distance_weight", "angle_weight")
    decisive_options: ClassVar[tuple[str, ...]] = (*FeatureLoss.decisive_options, "on")
    on: Literal["logits", "features"] = "logits"
    """Which outputs are compared."""
    distance_weight: Weight = 0.2
    angle_weight: Weight = 0.4
    """Twice `distance_weight`, as in the paper."""
    angle_samples: Annotated[int, Field(ge=3, le=512)] = 32
    """Angles are taken among this many samples, the first of the shuffled batch: their number grows cubically."""

    @property
    def reads_features(self) -> bool:
        """True if `on` is "features"."""
        return self.on == "features"

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """See the class; `temperature` is not used."""
        return self._relations(student_logits, teacher_logits)

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See the class."""
        return TIMES_ON_FEATURES * self._relations(student.flatten(1), teacher.flatten(1))

    def _relations(self, student: Tensor, teacher: Tensor) -> Tensor:
        from torch.nn.functional import smooth_l1_loss

        some = slice(0, self.angle_samples)
        distance = smooth_l1_loss(distances(student), distances(teacher))
        angle = smooth_l1_loss(angles(student[some]), angles(teacher[some]))
        return self.distance_weight * distance + self.angle_weight * angle
