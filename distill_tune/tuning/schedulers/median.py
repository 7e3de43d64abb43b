"""The median stopping rule.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.1. A trial ends at a rung
if the best that it has reached is below the median of what the others had on average up to the same epoch.
"""

from __future__ import annotations

from collections import defaultdict
from math import isfinite
from statistics import median
from typing import Annotated

from pydantic import Field

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, ladder


@SCHEDULERS.register
class Median(Scheduler):
    """Stop what is worse than half of the others."""

    startup_trials: Annotated[int, Field(ge=1)] = 4
    """So many others must have reached a rung before anybody is stopped there."""

    def judge(self, search: SearchConfig) -> Judge:
        """Judged at the rungs alone."""
        return MedianJudge([Rung(epochs) for epochs in ladder(search)], search.max_epochs, self.startup_trials)


class MedianJudge(Judge):
    """Keeps each trial's scores, and at each rung each trial's average up to it."""

    def __init__(self, rungs: list[Rung], max_epochs: int, startup_trials: int):
        super().__init__(rungs, max_epochs)
        self._startup_trials = startup_trials
        self._scores: dict[str, dict[int, float]] = defaultdict(dict)
        self._averages: dict[int, dict[str, float]] = defaultdict(dict)

    def goes_on(self, trial_id: str, epochs: int, score: float) -> bool:
        """Epochs between the rungs count too."""
        if isfinite(score):
            self._scores[trial_id][epochs] = score
        return super().goes_on(trial_id, epochs, score)

    def _passes(self, trial_id: str, epochs: int, score: float) -> bool:
        rung = next(rung for rung in self.rungs if rung.epochs == epochs)
        so_far = [value for epoch, value in self._scores[trial_id].items() if epoch <= epochs]
        others = [average for other, average in self._averages[epochs].items() if other != trial_id]
        rung.scores[trial_id] = score
        self._averages[epochs][trial_id] = sum(so_far) / len(so_far)
        rung.cutoff = median(others) if len(others) >= self._startup_trials else None
        return rung.cutoff is None or max(so_far) >= rung.cutoff
