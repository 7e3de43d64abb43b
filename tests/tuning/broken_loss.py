"""A user's own loss that does not work, for the tests of what happens then."""

import os
import signal
from typing import Any

from distill_tune.distillation.losses._base import Loss


class Broken(Loss):
    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        raise ValueError("this loss is broken")


class Deadly(Loss):
    """Ends its process at a temperature of 2."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if temperature == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return (student_logits - teacher_logits).square().mean()
