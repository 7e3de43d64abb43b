"""Custom losses that fail, for the tests of what happens then."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Any, ClassVar

import ray
import torch.distributed as dist

from distill_tune.distillation.losses import Loss
from distill_tune.errors import CacheError


class Broken(Loss):
    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        raise ValueError("this loss is broken")


class Leaving(Loss):
    """Calls `sys.exit` in Ray's workers."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if Path(sys.argv[0]).name == "default_worker.py":
            sys.exit(3)
        return (student_logits - teacher_logits).square().mean()


class BrokenForAWhile(Loss):
    """Fails in Ray's workers while `$BROKEN_WHILE` exists."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if Path(sys.argv[0]).name == "default_worker.py" and Path(os.environ["BROKEN_WHILE"]).exists():
            raise RuntimeError("CUDA out of memory, which another job has")
        return (student_logits - teacher_logits).square().mean()


class Spoiling(Loss):
    """At a temperature of 2, raises a CUDA error after which its process is unusable."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if temperature == 2:
            raise RuntimeError("CUDA error: device-side assert triggered")
        return (student_logits - teacher_logits).square().mean()


class Damaged(Loss):
    """Finds a damaged file on one worker only."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if dist.is_initialized() and dist.get_rank() == 1:
            raise CacheError("a file of the cache is damaged here")
        return (student_logits - teacher_logits).square().mean()


class Deadly(Loss):
    """Kills its process at temperature 2."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if temperature == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return (student_logits - teacher_logits).square().mean()


class AskedToEnd(Loss):
    """Gets SIGTERM during training, as if all processes of the machine were ended; its restarted process does not."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if not ray.get_runtime_context().was_current_actor_reconstructed:
            os.kill(os.getpid(), signal.SIGTERM)
        return (student_logits - teacher_logits).square().mean()


class ShortForAWhile(Loss):
    """Has no memory on its GPU while `$SHORT_WHILE` exists."""

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if Path(os.environ["SHORT_WHILE"]).exists():
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return (student_logits - teacher_logits).square().mean()


class ShortBesideOthers(Loss):
    """No trial of a training process finds memory on the GPU while another is there."""

    def model_post_init(self, context: Any) -> None:
        if Path(sys.argv[0]).name == "default_worker.py":
            lanes = [each for each in gc.get_objects() if type(each).__name__ == "Lanes"]
            if any(len(each) for each in lanes):
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        return (student_logits - teacher_logits).square().mean()


class ShortOnce(Loss):
    """In each training process but the test's own, the first use of it finds no memory on the GPU."""

    is_first: ClassVar[bool] = Path(sys.argv[0]).name == "default_worker.py"

    def soft(self, student_logits: Any, teacher_logits: Any, temperature: float) -> Any:
        if ShortOnce.is_first:
            ShortOnce.is_first = False
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return (student_logits - teacher_logits).square().mean()
