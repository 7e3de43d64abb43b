"""Asynchronous successive halving, stopping variant.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020, https://arxiv.org/abs/1810.05934.
A trial that reaches a rung goes on if it is among the best 1/reduction_factor of all that have reached it so far; the
first ones to arrive have nothing to be measured against and go on. With several brackets a trial is dealt, by the
search's seed and its own number, to one that lets it pass the lowest rungs unjudged: a guard against configurations
that start slowly, at a price.
"""

from __future__ import annotations

import random
from bisect import insort
from typing import Annotated

from pydantic import Field

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, ladder


@SCHEDULERS.register
class Asha(Scheduler):
    """Stop all but the best 1/reduction_factor at each rung."""

    brackets: Annotated[int, Field(ge=1)] = 1
    """Sets of rungs; each further one leaves out one more of the lowest. No more than there are rungs count."""

    def judge(self, search: SearchConfig) -> Judge:
        """One set of rungs a bracket."""
        rungs = ladder(search)
        starts = range(min(self.brackets, max(1, len(rungs))))
        return BracketJudge(
            [[Rung(epochs) for epochs in rungs[start:]] for start in starts],
            search.max_epochs,
            search.reduction_factor,
            search.seed,
        )


class BracketJudge(Judge):
    """Deals trials to brackets, each with rungs of its own."""

    def __init__(self, brackets: list[list[Rung]], max_epochs: int, reduction_factor: int, seed: int):
        super().__init__([rung for bracket in brackets for rung in bracket], max_epochs)
        self._brackets = [{rung.epochs: rung for rung in bracket} for bracket in brackets]
        self._sorted: dict[int, list[float]] = {id(rung): [] for rung in self.rungs}
        self._factor, self._seed = reduction_factor, seed

    def bracket_of(self, trial_id: str) -> int:
        """Seeded; brackets share the trials as in Hyperband, so that each costs about as many epochs."""
        count = len(self._brackets)
        shares = [self._factor ** (count - 1 - start) * count / (count - start) for start in range(count)]
        return random.Random(f"{self._seed} {trial_id}").choices(range(count), shares)[0]

    def _passes(self, trial_id: str, epochs: int, score: float) -> bool:
        rung = self._brackets[self.bracket_of(trial_id)].get(epochs)
        if rung is None:
            return True
        arrived = self._sorted[id(rung)]
        if trial_id not in rung.scores:
            rung.scores[trial_id] = score
            insort(arrived, score)
        keep = len(arrived) // self._factor
        rung.cutoff = arrived[-keep] if keep else None
        return rung.cutoff is None or score >= rung.cutoff
