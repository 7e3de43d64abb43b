"""Optuna's TPE, restricted to the latest trials and the best of the older ones.

Up to `memory` trials this changes nothing, and beyond that the time of a proposal no longer grows.

In a study with several objectives Optuna knows of stopped trials only that they were stopped, and its TPE calls the
first of them good if too few have completed. Here they are ordered by how far they came and then by how good they were
there.

Imported only when a sampler is built, since importing Optuna takes half a second.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from distill_tune.tuning.dominance import Scores, best_of
from distill_tune.tuning.samplers._base import RUNGS
from distill_tune.tuning.samplers._fast_tpe import FastTpe, Rows
from distill_tune.tuning.samplers._shown import Shown, signs_of

_BEST = 100
"""How many of the older trials are remembered; TPE calls at most 25 good."""
_GOOD = 25
"""How many of the stopped trials are ordered: no more than TPE can call good."""


class Recent(Shown):
    """A view of a study with only the latest and the best trials, as they are when it is made."""

    def __init__(self, study: Study, memory: int, older: Older | None = None):
        trials = study._get_trials(deepcopy=False)
        latest = trials[-memory:]
        ended = (older or Older()).ended(study, trials[:-memory])
        self._signs = signs_of(study)
        seen = sorted(self._best_of(ended), key=lambda trial: trial.number) + latest
        super().__init__(study, self._in_order(seen) if len(self._signs) > 1 else seen)

    def one_a_space(self) -> Shown:
        """The same with only the first trial of each set of parameters, which is enough to know the sets."""
        firsts: dict[frozenset[str], FrozenTrial] = {}
        for trial in self._trials:
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                firsts.setdefault(frozenset(trial.distributions), trial)
        return Shown(self._study, list(firsts.values()))

    def _best_of(self, ended: list[FrozenTrial]) -> list[FrozenTrial]:
        if len(self._signs) == 1:
            return sorted(ended, key=lambda trial: trial.values[0], reverse=self._signs[0] > 0)[:_BEST]
        return [ended[place] for place in best_of([self._scores(trial.values) for trial in ended], _BEST)]

    def _in_order(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Stopped trials last, of these the farthest and then the best first; Optuna's stable sort keeps the order.

        At the very end are those stopped by the end of an earlier session before they had any values.
        """
        stopped = [trial for trial in trials if trial.state is TrialState.PRUNED]
        at = {t.number: max((int(e), values) for e, values in rungs.items()) for t in stopped if (rungs := _rungs(t))}
        ordered = [trial for trial in trials if trial.state is not TrialState.PRUNED]
        for epochs in sorted({epochs for epochs, _ in at.values()}, reverse=True):
            group = [trial for trial in trials if at.get(trial.number, (0,))[0] == epochs]
            best = best_of([self._scores(at[trial.number][1]) for trial in group], _GOOD)
            ordered += [group[place] for place in best]
            ordered += [trial for place, trial in enumerate(group) if place not in set(best)]
        return ordered + [trial for trial in stopped if trial.number not in at]

    def _scores(self, values: Sequence[float]) -> Scores:
        return tuple(sign * value for sign, value in zip(self._signs, values, strict=True))


class Older:
    """Those of a study's older trials that can be among the best, cached from one proposal to the next.

    Scanning all of them at each proposal takes 6 ms after nine thousand. So each is looked at when it becomes one of
    the older ones, and again when its sampler, which must be `Forgetful`, hears that it has ended. The result is the
    same, since the best of many are the best among the best of some and the others.
    """

    def __init__(self) -> None:
        self._num_seen = 0
        self._told: list[int] = []
        """Numbers of trials that have ended, or paused, since the last look."""
        self._best: list[FrozenTrial] = []

    def hear(self, number: int) -> None:
        """Note that a trial has ended or paused."""
        self._told.append(number)

    def ended(self, study: Study, older: list[FrozenTrial]) -> list[FrozenTrial]:
        """The complete trials in order; with one objective, those that a hundred others beat may be left out."""
        told, self._told = self._told, []
        if len(study.directions) > 1:
            return _complete(older)
        news = {number for number in told if number < self._num_seen} | {*range(self._num_seen, len(older))}
        self._num_seen = len(older)
        self._best = sorted(self._best + _complete([older[number] for number in news]), key=lambda trial: trial.number)
        if len(self._best) > 2 * _BEST:
            (sign,) = signs_of(study)
            best = sorted(self._best, key=lambda trial: -sign * trial.values[0])[:_BEST]
            self._best = sorted(best, key=lambda trial: trial.number)
        return self._best


def _complete(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.COMPLETE]


def _rungs(trial: FrozenTrial) -> dict[str, list[float]]:
    """A trial's values at each rung; empty if it was never trained."""
    found: dict[str, list[float]] = trial.user_attrs.get(RUNGS, {})
    return found


@dataclass
class Kept:
    """What the samplers of a study, one per proposal, keep of it."""

    older: Older = field(default_factory=Older)
    rows: Rows = field(default_factory=dict)


class Forgetful(FastTpe):
    """Optuna's sampler, shown a `Recent` study."""

    def __init__(self, memory: int, kept: MutableMapping[Study, Kept], **options: Any):
        super().__init__(**options)
        self._memory, self._kept = memory, kept
        self._recent: Any = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take a view of the study as it is now."""
        super().before_trial(study, trial)
        kept = self._kept.setdefault(study, Kept())
        self._rows = kept.rows
        self._recent = Recent(study, self._memory, kept.older)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Note that a trial has ended or paused."""
        super().after_trial(study, trial, state, values)
        if study in self._kept:
            self._kept[study].older.hear(trial.number)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
        """The parameters that are learned jointly."""
        return super().infer_relative_search_space(self._recent.one_a_space(), trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
        """Values of the jointly learned parameters."""
        return super().sample_relative(self._recent, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """A value of any other parameter."""
        return super().sample_independent(self._recent, trial, param_name, param_distribution)
