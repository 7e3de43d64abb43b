"""Decoupled distillation: the teacher's confidence in the target and its ranking of the others, weighed separately.

Zhao, Cui, Song, Qiu, Liang, "Decoupled Knowledge Distillation", CVPR 2022, https://arxiv.org/abs/2203.08679
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from distill_tune.distillation.losses._base import Loss, Weight, a_row
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


class _Decoupled(NamedTuple):
    """Log-probabilities of softened logits."""

    target: Tensor
    """[..., batch, 2]: the target, and all other classes together."""
    others: Tensor
    """[..., batch, classes - 1]: the others among themselves."""


def _decoupled(logits: Tensor, target_place: Tensor, other_places: Tensor) -> _Decoupled:
    target, others = logits.gather(-1, target_place), logits.gather(-1, other_places)
    together = others.logsumexp(-1, keepdim=True)
    either = target.logaddexp(together)
    both = (target - either).expand(*target.shape[:-1], 2).clone()
    both[..., 1:] = together - either
    return _Decoupled(both, others - together)


def decoupled_losses(
    student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """T^2 * KL(teacher || student) of target against the rest (TCKD), and among the others (NCKD): means, in nats.

    Soft-target distillation is TCKD + (1 - p) * NCKD, where p is the teacher's probability of the target: the more
    confident the teacher, the less of its ranking is passed on.

    Args:
        student_logits: [batch, classes], or [lanes, batch, classes].
        teacher_logits: likewise.
        temperature: T > 0, or [lanes].
        targets: int64 [batch], or [lanes, batch].
    """
    import torch

    target = targets[..., None]
    places = torch.arange(teacher_logits.shape[-1] - 1, device=targets.device)
    others = places + (places >= target)  # indices, not a mask: the CPU would wait for the size of a mask's result
    student = _decoupled(student_logits / a_row(temperature), target, others)
    teacher = _decoupled(teacher_logits / a_row(temperature), target, others)
    scale = temperature**2 / targets.shape[-1]
    tckd, nckd = ((t.exp() * (t - s)).sum((-2, -1)) * scale for s, t in zip(student, teacher, strict=True))
    return tckd, nckd


@LOSSES.register
class Dkd(Loss):
    """target_weight * TCKD + non_target_weight * NCKD; see `decoupled_losses`.

    The target is the label. If that is hidden from the student, or the inputs are mixed and have two, it is the class
    that the teacher finds likeliest: the teacher knows the sample, and the decomposition holds for any class.
    """

    over_lanes: ClassVar[bool] = True
    weights: ClassVar[tuple[str, ...]] = ("target_weight", "non_target_weight")
    naming_weights: ClassVar[tuple[str, ...]] = ("target_weight",)  # a sample's target is not among its others
    decisive_options: ClassVar[tuple[str, ...]] = naming_weights
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"non_target_weight": {"log": [0.5, 8.0]}}
    target_weight: Weight = 1.0
    """The paper's alpha."""
    non_target_weight: Weight = 1.0
    """The paper's beta, chosen between 0.5 and 8; larger for more confident teachers."""

    @property
    def needed_classes(self) -> int:
        """Three if only the other classes count: of two, the single other has nothing to rank against."""
        return 2 if self.target_weight else 3

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """The term without labels."""
        return self.soft_with_labels(student_logits, teacher_logits, temperature, None)

    def soft_with_labels(
        self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor, labels: Tensor | None
    ) -> Tensor:
        """See the class."""
        likeliest = teacher_logits.argmax(-1)
        targets = likeliest if labels is None else labels.where(labels >= 0, likeliest)
        target, others = decoupled_losses(student_logits, teacher_logits, temperature, targets)
        return self.target_weight * target + self.non_target_weight * others
