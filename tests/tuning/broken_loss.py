"""A user's own loss that does not work, for the tests of what happens then."""

from typing import Any

from distill_tune.distillation.losses._base import Loss


class Broken(Loss):
    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        raise ValueError("this loss is broken")
