"""A custom loss that fails for some configurations, for a picture of a search with failed trials."""

from __future__ import annotations

from torch import Tensor

from distill_tune.distillation.losses import Loss
from distill_tune.distillation.losses.soft_targets import soft_target_loss

HOTTEST = 6.0


class Picky(Loss):
    """Soft targets that refuse a high temperature."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """See `soft_target_loss`."""
        if temperature > HOTTEST:
            raise ValueError(f"temperature must be at most {HOTTEST:g}, but is {temperature:.2f}")
        return soft_target_loss(student_logits, teacher_logits, temperature)
