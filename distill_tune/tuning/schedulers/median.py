"""The median stopping rule.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.1. A trial is stopped at a
rung if its best score so far is below the median of the others' average scores up to the same epoch.

With several objectives "the others" are those that are at least as good in every objective but the first: a student is
measured against those that cost no more.
"""

from __future__ import annotations

from collections import defaultdict
from math import isfinite
from operator import ge
from statistics import median
from typing import Annotated, ClassVar

from pydantic import Field

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.dominance import Scores
from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, epochs_on_average, ladder


@SCHEDULERS.register
class Median(Scheduler):
    """Stop trials that are worse than half of the others."""

    several_objectives: ClassVar[bool] = True

    startup_trials: Annotated[int, Field(ge=1)] = 4
    """How many trials to measure against must have reached a rung before one is stopped there."""

    def judge(self, search: SearchConfig) -> Judge:
        """A judge that stops trials only at the rungs."""
        return MedianJudge([Rung(epochs) for epochs in ladder(search)], search.max_epochs, self.startup_trials)

    def expected_epochs(self, search: SearchConfig) -> float:
        """Mean epochs per trial if half of the trials pass each rung."""
        return epochs_on_average(ladder(search), search.max_epochs, 2)


class MedianJudge(Judge):
    """Keeps each trial's scores, and its average score up to each rung."""

    def __init__(self, rungs: list[Rung], max_epochs: int, startup_trials: int):
        super().__init__(rungs, max_epochs)
        self._startup_trials = startup_trials
        self._scores: dict[str, dict[int, Scores]] = defaultdict(dict)
        self._averages: dict[int, dict[str, Scores]] = defaultdict(dict)

    def goes_on(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float = 0.0) -> bool:
        """Record the score, since epochs between the rungs count too; then as `Judge.goes_on`."""
        if all(map(isfinite, (score, *further))):
            self._scores[trial_id][epochs] = score, *further
        return super().goes_on(trial_id, epochs, score, *further, tie_break=tie_break)

    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """Whether it is no worse than half of those it is measured against; an equal one is not, so ties pass."""
        rung = next(rung for rung in self.rungs if rung.epochs == epochs)
        so_far = [scores for epoch, scores in self._scores[trial_id].items() if epoch <= epochs]
        best, *bests = map(max, zip(*so_far, strict=True))
        others = [average for other, average in self._averages[epochs].items() if other != trial_id]
        rivals = [first for first, *rest in others if all(map(ge, rest, bests))]
        rung.scores[trial_id] = score
        self._averages[epochs][trial_id] = tuple(sum(column) / len(column) for column in zip(*so_far, strict=True))
        cutoff = median(rivals) if len(rivals) >= self._startup_trials else None
        rung.cutoff = None if further else cutoff
        return cutoff is None or best >= cutoff
