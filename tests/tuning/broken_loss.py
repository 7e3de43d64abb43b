"""A user's own loss that does not work, for the tests of what happens then."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import ray
import torch.distributed as dist

from distill_tune.distillation.losses import Loss
from distill_tune.errors import CacheError


class Broken(Loss):
    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        raise ValueError("this loss is broken")


class Leaving(Loss):
    """Ends Ray's workers as a program would end itself."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if Path(sys.argv[0]).name == "default_worker.py":
            sys.exit(3)
        return (student_logits - teacher_logits).square().mean()


class BrokenForAWhile(Loss):
    """Does not work in Ray's workers as long as there is a file."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if Path(sys.argv[0]).name == "default_worker.py" and Path(os.environ["BROKEN_WHILE"]).exists():
            raise RuntimeError("CUDA out of memory, which another job has")
        return (student_logits - teacher_logits).square().mean()


class Spoiling(Loss):
    """Says at a temperature of 2 what CUDA says from then on to whatever the process asks."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if temperature == 2:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return (student_logits - teacher_logits).square().mean()


class Damaged(Loss):
    """Finds on one worker alone that a file is damaged."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if dist.is_initialized() and dist.get_rank() == 1:
            raise CacheError("a file of the cache is damaged here")
        return (student_logits - teacher_logits).square().mean()


class Deadly(Loss):
    """Ends its process at a temperature of 2."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if temperature == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return (student_logits - teacher_logits).square().mean()


class AskedToEnd(Loss):
    """Somebody stops its process while it trains, as by ending all of a machine's; once, and not the one after it."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if not ray.get_runtime_context().was_current_actor_reconstructed:
            os.kill(os.getpid(), signal.SIGTERM)
        return (student_logits - teacher_logits).square().mean()
