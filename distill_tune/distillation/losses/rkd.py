"""Relational distillation: distances between samples, and angles between three of them, as the teacher has them.

Park, Kim, Lu, Cho, "Relational Knowledge Distillation", CVPR 2019, https://arxiv.org/abs/1904.05068
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from distill_tune.distillation.losses._base import Loss, Weight
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-6
"""Samples that are closer have no direction from one to the other."""


def distances(logits: Tensor) -> Tensor:
    """[batch, batch]: Euclidean, in units of their mean over pairs that differ."""
    import torch

    found = torch.cdist(logits, logits, compute_mode="donot_use_mm_for_euclid_dist")
    mean = found.sum() / (found > 0).sum().clamp_min(1)
    return found / mean.clamp_min(_TINY)


def angles(logits: Tensor) -> Tensor:
    """[batch, batch, batch]: the cosine of the angle at the first sample between the ways to the two others."""
    ways = logits[None] - logits[:, None]
    lengths: Tensor = ways.norm(dim=-1, keepdim=True)
    directions = ways / lengths.where(lengths > _TINY, 1)
    return directions @ directions.mT


@LOSSES.register
class Rkd(Loss):
    """distance_weight * huber(distances) + angle_weight * huber(angles), each averaged over all pairs and triples.

    huber(x) of the difference between student and teacher is x^2 / 2 up to 1 and |x| - 1/2 beyond. The paper takes
    features, below a last layer that is free; relations of logits do not say which class is which, so here the weights
    are small, and the labels' term is heard. Of several workers, each compares the samples of its own part.
    """

    uses_temperature: ClassVar[bool] = False
    compares_samples: ClassVar[bool] = True
    distance_weight: Weight = 0.2
    angle_weight: Weight = 0.4
    """Twice the other, as in the paper."""
    angle_samples: Annotated[int, Field(ge=3, le=512)] = 32
    """Angles are taken among the first so many samples of a batch, which is in random order: there are cubically many.
    """

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """See the class; `temperature` is not used."""
        from torch.nn.functional import smooth_l1_loss

        some = slice(0, self.angle_samples)
        distance = smooth_l1_loss(distances(student_logits), distances(teacher_logits))
        angle = smooth_l1_loss(angles(student_logits[some]), angles(teacher_logits[some]))
        return self.distance_weight * distance + self.angle_weight * angle
