"""Asynchronous successive halving, promoting variant: every trial pauses at a rung, and the best are resumed.

Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020, Algorithm 2,
https://arxiv.org/abs/1810.05934. A free place resumes the best paused trial among the first 1/reduction_factor of its
rung, the highest rung first; if there is none, it starts a new trial. The stopping variant (`asha.py`) lets the first
to arrive at a rung train on, since there are none to measure them by, and cannot resume what it has stopped.

Two things differ from Algorithm 2. A trial that is among the best on arrival goes on at once, since pausing it would
cost reading a checkpoint. And when no new trial comes, none is running and none has completed, the best paused one
goes on however few have reached its rung, so that at least one trial completes if any can.

In an extended search, trials that were paused before have been stopped and their checkpoints are gone. They count
among those that have reached a rung but not among its best, or new ones would have to beat what cannot go on.

With several objectives the best are those on the first non-domination layers (`dominance.py`), and the whole first
layer as soon as any may go on.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import ClassVar

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.dominance import Layers, Scores
from distill_tune.tuning.schedulers._base import Judge, Rung, Scheduler, ladder

_Place = tuple[float, float, str]
"""Negated score, negated tie-break, and the trial's name: the best come first, and equal ones in the order of names, so
that the order of arrival does not matter."""


@SCHEDULERS.register
class Promotion(Scheduler):
    """Pause trials at each rung, and resume the best 1/reduction_factor."""

    several_objectives: ClassVar[bool] = True

    def judge(self, search: SearchConfig) -> Judge:
        """A judge with one ladder of rungs."""
        return PromotionJudge(ladder(search), search.max_epochs, search.reduction_factor)


@dataclass
class _Step:
    """A rung and the trials on it."""

    rung: Rung
    arrived: list[_Place] = field(default_factory=list)
    """All that have arrived, except dropped ones."""
    layers: Layers = field(default_factory=Layers)
    """The same trials, if there are several objectives."""
    places: dict[str, _Place] = field(default_factory=dict)
    """All that have arrived, by name."""
    paused: list[_Place] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    """Trials that were let go on."""

    def arrive(self, trial_id: str, scores: Scores, tie_break: float) -> None:
        if trial_id not in self.places:
            self.rung.scores[trial_id] = scores[0]
            self.places[trial_id] = -scores[0], -tie_break, trial_id
            insort(self.arrived, self.places[trial_id])
            if len(scores) > 1:
                self.layers.add(trial_id, scores)

    def best_paused(self, keep: int) -> str | None:
        """The best paused trial among the first `keep`."""
        if not self.paused or not keep:
            return None
        if len(self.layers):
            return self.layers.first_of({trial_id for *_, trial_id in self.paused}, keep)
        return self.paused[0][-1] if bisect_left(self.arrived, self.paused[0]) < keep else None

    def is_among(self, trial_id: str, keep: int) -> bool:
        if len(self.layers):
            return keep > 0 and self.layers.is_first(trial_id, keep)
        return bisect_left(self.arrived, self.places[trial_id]) < keep


class PromotionJudge(Judge):
    """Pauses trials at rungs and promotes the best."""

    pauses: ClassVar[bool] = True

    def __init__(self, epochs: list[int], max_epochs: int, reduction_factor: int):
        self._steps = {rung: _Step(Rung(rung)) for rung in epochs}
        super().__init__([step.rung for step in self._steps.values()], max_epochs)
        self._factor = reduction_factor

    def passes_rung(self, trial_id: str, epochs: int, score: float, *further: float, tie_break: float) -> bool:
        """Whether it is, or has been, among the best of those that have reached the rung so far."""
        step = self._steps[epochs]
        step.arrive(trial_id, (score, *further), tie_break)
        keep = self._keep(step)
        step.rung.cutoff = -step.arrived[min(keep, len(step.arrived)) - 1][0] if keep and not further else None
        if trial_id not in step.passed and step.is_among(trial_id, keep):
            step.passed.add(trial_id)
        return trial_id in step.passed

    def pause(self, trial_id: str, epochs: int) -> None:
        """Keep the trial at its rung."""
        step = self._steps[epochs]
        step.passed.discard(trial_id)
        insort(step.paused, step.places[trial_id])

    def drop(self, trial_id: str, epochs: int) -> None:
        """Remove the trial from its rung's ranking."""
        if (step := self._steps.get(epochs)) is not None:
            step.passed.discard(trial_id)
            step.arrived.remove(step.places[trial_id])
            step.layers.remove(trial_id)

    def next_to_promote(self, is_last: bool) -> str | None:
        """The best paused trial that may go on, from the highest rung downwards."""
        for step in reversed(self._steps.values()):
            if (found := step.best_paused(self._keep(step))) is not None:
                return found
        if not is_last:
            return None
        return next((step.paused[0][-1] for step in reversed(self._steps.values()) if step.paused), None)

    def promote(self, trial_id: str, epochs: int) -> None:
        """Remove the trial from the paused ones of its rung."""
        step = self._steps[epochs]
        step.paused.remove(step.places[trial_id])
        step.passed.add(trial_id)

    def _keep(self, step: _Step) -> int:
        return len(step.rung.scores) // self._factor
