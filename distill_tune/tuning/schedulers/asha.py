"""Asynchronous successive halving, stopping variant.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020, https://arxiv.org/abs/1810.05934.
A trial that reaches a rung goes on if it is among the best 1/reduction_factor of all that have reached it so far; the
first ones to arrive have nothing to be measured against and go on. With several brackets, each trial is assigned to
one by the search's seed and its own number; all but the first leave out the lowest rungs. That protects configurations
that start slowly, at a price.

With several objectives the best are those on the first non-domination layers, and of a layer that does not fit, those
spread over it (MO-ASHA; Schmucker et al., "Multi-objective Asynchronous Successive Halving", 2021,
https://arxiv.org/abs/2106.12639). Unlike in MO-ASHA, a non-dominated trial always goes on: no student is stopped for a
costlier one that is merely more accurate, and a short search finds more of the front. This costs epochs, the more so
the fewer the trials and the more the objectives.
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
    """Sets of rungs, each leaving out one more of the lowest; at most as many as there are rungs."""

    def judge(self, search: SearchConfig) -> Judge:
        """A judge with one set of rungs per bracket."""
        brackets = [[Rung(epochs) for epochs in rungs] for rungs in self._brackets(search)]
        return BracketJudge(brackets, search.max_epochs, search.reduction_factor, search.seed)

    def expected_epochs(self, search: SearchConfig) -> float:
        """Mean epochs per trial if one in `search.reduction_factor` passes each rung of its bracket."""
        brackets, factor = self._brackets(search), search.reduction_factor
        shares = _shares(len(brackets), factor)
        each = [epochs_on_average(rungs, search.max_epochs, factor) for rungs in brackets]
        return sum(share * epochs for share, epochs in zip(shares, each, strict=True)) / sum(shares)

    def _brackets(self, search: SearchConfig) -> list[list[int]]:
        """The rungs of each bracket."""
        rungs = ladder(search)
        return [rungs[start:] for start in range(min(self.brackets, max(1, len(rungs))))]


def _shares(count: int, factor: int) -> list[float]:
    """Relative share of trials per bracket, as in Hyperband: each bracket costs about the same number of epochs."""
    return [factor ** (count - 1 - start) * count / (count - start) for start in range(count)]


class BracketJudge(Judge):
    """Assigns trials to brackets, each with its own rungs."""

    def __init__(self, brackets: list[list[Rung]], max_epochs: int, reduction_factor: int, seed: int):
        super().__init__([rung for bracket in brackets for rung in bracket], max_epochs)
        self._brackets = [{rung.epochs: rung for rung in bracket} for bracket in brackets]
        self._sorted: dict[int, list[tuple[float, float]]] = {id(rung): [] for rung in self.rungs}
        self._layers: dict[int, Layers] = {id(rung): Layers() for rung in self.rungs}
        self._factor, self._seed = reduction_factor, seed

    def bracket_of(self, trial_id: str) -> int:
        """The trial's bracket, drawn by the brackets' shares with a seed."""
        count = len(self._brackets)
        return random.Random(f"{self._seed} {trial_id}").choices(range(count), _shares(count, self._factor))[0]

    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """Whether it is among the best of those that have reached its bracket's rung so far."""
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
