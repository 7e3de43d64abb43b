"""Soft-target distillation: match the student's softened probabilities to the teacher's.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.distillation.losses._base import Loss, a_row
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor


def soft_target_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
    """T^2 * KL(teacher || student) at `temperature`, averaged over the batch, in nats.

    The factor T^2 keeps the gradient's size constant while the temperature is searched (section 2 of the paper);
    without it, a trial with a higher temperature would also learn more slowly.

    Args:
        student_logits: [batch, classes], or [lanes, batch, classes].
        teacher_logits: likewise.
        temperature: T > 0, or [lanes].
    """
    log_student = (student_logits / a_row(temperature)).log_softmax(-1)
    log_teacher = (teacher_logits / a_row(temperature)).log_softmax(-1)
    divergence = (log_teacher.exp() * (log_teacher - log_student)).sum((-2, -1))
    return divergence * (temperature**2 / student_logits.shape[-2])


@LOSSES.register
class SoftTargets(Loss):
    """`soft_target_loss` as a configured loss."""

    over_lanes: ClassVar[bool] = True

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """See `soft_target_loss`."""
        return soft_target_loss(student_logits, teacher_logits, temperature)
