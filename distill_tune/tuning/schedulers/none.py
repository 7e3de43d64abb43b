"""No scheduler: every trial trains to the end."""

from __future__ import annotations

from typing import ClassVar

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.schedulers._base import Judge, Scheduler


@SCHEDULERS.register
class NoScheduler(Scheduler):
    """Stop only trials that have diverged."""

    several_objectives: ClassVar[bool] = True

    def judge(self, search: SearchConfig) -> Judge:
        """A judge without rungs."""
        return EverybodyPasses([], search.max_epochs)


class EverybodyPasses(Judge):
    """Has no rung, so `passes_rung` is never called."""

    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """True: every trial goes on."""
        return True
