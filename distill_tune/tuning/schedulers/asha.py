"""Asynchronous successive halving, stopping variant.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020, https://arxiv.org/abs/1810.05934.
A trial that reaches a rung goes on if it is among the best 1/reduction_factor of all that have reached it so far; the
first ones to arrive have nothing to be measured against and go on. With several brackets a trial is dealt, by the
search's seed and its own number, to one that lets it pass the lowest rungs unjudged: a guard against configurations
that start slowly, at a price.

With several objectives the best are those on the first layers of domination, and of a layer that has more than there
is room for, those that lie spread over it (MO-ASHA; Schmucker et al., "Multi-objective Asynchronous Successive
Halving", 2021, https://arxiv.org/abs/2106.12639). Beyond MO-ASHA, whoever nobody dominates always goes on: no student
is stopped for a costlier one that is merely more accurate, and a short search comes to more of a front. It costs
epochs, the more so the fewer the trials and the more the objectives.
"""

from __future__ import annotations

import random
from bisect import insort
from typing import Annotated, ClassVar

from pydantic import Field

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.dominance import Layers
from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, epochs_on_average, ladder


@SCHEDULERS.register
class Asha(Scheduler):
    """Stop all but the best 1/reduction_factor at each rung."""

    several_objectives: ClassVar[bool] = True

    brackets: Annotated[int, Field(ge=1)] = 1
    """Sets of rungs; each further one leaves out one more of the lowest. No more than there are rungs count."""

    def judge(self, search: SearchConfig) -> Judge:
        """One set of rungs a bracket."""
        brackets = [[Rung(epochs) for epochs in rungs] for rungs in self._brackets(search)]
        return BracketJudge(brackets, search.max_epochs, search.reduction_factor, search.seed)

    def expected_epochs(self, search: SearchConfig) -> float:
        """If one in `search.reduction_factor` passes each rung of its bracket."""
        brackets, factor = self._brackets(search), search.reduction_factor
        shares = _shares(len(brackets), factor)
        each = [epochs_on_average(rungs, search.max_epochs, factor) for rungs in brackets]
        return sum(share * epochs for share, epochs in zip(shares, each, strict=True)) / sum(shares)

    def _brackets(self, search: SearchConfig) -> list[list[int]]:
        """The rungs of each."""
        rungs = ladder(search)
        return [rungs[start:] for start in range(min(self.brackets, max(1, len(rungs))))]


def _shares(count: int, factor: int) -> list[float]:
    """Of the trials, that each bracket has: as in Hyperband, so that each costs about as many epochs."""
    return [factor ** (count - 1 - start) * count / (count - start) for start in range(count)]


class BracketJudge(Judge):
    """Deals trials to brackets, each with rungs of its own."""

    def __init__(self, brackets: list[list[Rung]], max_epochs: int, reduction_factor: int, seed: int):
        super().__init__([rung for bracket in brackets for rung in bracket], max_epochs)
        self._brackets = [{rung.epochs: rung for rung in bracket} for bracket in brackets]
        self._sorted: dict[int, list[tuple[float, float]]] = {id(rung): [] for rung in self.rungs}
        self._layers: dict[int, Layers] = {id(rung): Layers() for rung in self.rungs}
        self._factor, self._seed = reduction_factor, seed

    def bracket_of(self, trial_id: str) -> int:
        """Seeded, by the shares of all."""
        count = len(self._brackets)
        return random.Random(f"{self._seed} {trial_id}").choices(range(count), _shares(count, self._factor))[0]

    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """Among the best of those that have reached the rung of its bracket so far."""
        rung = self._brackets[self.bracket_of(trial_id)].get(epochs)
        if rung is None:
            return True
        if further:
            return self._is_among_best(rung, trial_id, score, *further)
        arrived = self._sorted[id(rung)]
        if trial_id not in rung.scores:
            rung.scores[trial_id] = score
            insort(arrived, (score, tie_break))
        keep = len(arrived) // self._factor
        rung.cutoff = arrived[-keep][0] if keep else None
        return not keep or (score, tie_break) >= arrived[-keep]

    def _is_among_best(self, rung: Rung, trial_id: str, *scores: float) -> bool:
        arrived = self._layers[id(rung)]
        if trial_id not in rung.scores:
            rung.scores[trial_id] = scores[0]
            arrived.add(trial_id, scores)
        keep = len(rung.scores) // self._factor
        return not keep or arrived.is_on_front(trial_id) or arrived.is_among(trial_id, keep)
