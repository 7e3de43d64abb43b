"""A user's own loss that some configurations do not work with, for a picture of a search with failed trials."""

from __future__ import annotations

from torch import Tensor

from distill_tune.distillation.losses._base import Loss
from distill_tune.distillation.losses.soft_targets import soft_target_loss

COLDEST = 1.3


class Picky(Loss):
    """Soft targets that refuse cold teachers."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """See `soft_target_loss`."""
        if temperature < COLDEST:
            raise ValueError(f"temperature must be at least {COLDEST}, but is {temperature:.2f}")
        return soft_target_loss(student_logits, teacher_logits, temperature)
