"""Optuna's TPE, which looks at the latest trials and at the best of the older, and not at all.

Up to `memory` trials that is the same, and beyond it a proposal takes as long as the last one did. And half of that is
saved: what a trial has chosen is put into numbers once, and the logarithm of the normal distribution, of which Optuna
has one in Python, is SciPy's.

A study with several objectives knows nothing of stopped trials but that they were stopped, and Optuna's TPE calls the
first of them good where too few have come to their end. Here it is shown them in the order of how far they came and,
where that is equal, of how good they were there.

Imported when a sampler is built: Optuna takes half a second.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from optuna import Study
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from distill_tune.tuning.dominance import Scores, best_of
from distill_tune.tuning.samplers._base import RUNGS
from distill_tune.tuning.samplers._shown import Shown, signs_of

_BEST = 100
"""How many of the older trials are remembered: TPE calls 25 at most good."""
_GOOD = 25
"""How many of the stopped ones are put in order: no more than TPE can call good."""


class Recent(Shown):
    """A study in which only the latest and the best trials can be seen, as they are when it is made."""

    def __init__(self, study: Study, memory: int):
        trials = study._get_trials(deepcopy=False)
        older, latest = trials[:-memory], trials[-memory:]
        ended = _older_of.setdefault(study, Older()).ended(study, older)
        self._signs = signs_of(study)
        seen = sorted(self._best_of(ended), key=lambda trial: trial.number) + latest
        super().__init__(study, self._in_order(seen) if len(self._signs) > 1 else seen)

    def one_a_space(self) -> Shown:
        """The same with the first trial of each set of parameters: the others say nothing more of what the sets are."""
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
        """Stopped trials last, and of these the farthest and best first; Optuna's sort keeps the order of equals.

        Behind them is who was stopped, by the end of an earlier session, before anything was known of it.
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
    """Those of a study's older trials that can be among the best, kept from one proposal to the next.

    Looking at all of them for each proposal takes 6 ms after nine thousand. So each is looked at when it becomes one of
    the older, and again when its sampler, which must be `Forgetful`, hears that it has ended. What is kept changes
    nothing: the best of many are the best of the best of some and of the others.
    """

    def __init__(self) -> None:
        self._num_seen = 0
        self._told: list[int] = []
        """Numbers of trials that have ended, or paused, since the last look."""
        self._best: list[FrozenTrial] = []

    def hear(self, number: int) -> None:
        """A trial ends, or pauses."""
        self._told.append(number)

    def ended(self, study: Study, older: list[FrozenTrial]) -> list[FrozenTrial]:
        """The complete ones in their order; with one objective, without those that a hundred are better than."""
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


_older_of: WeakKeyDictionary[Study, Older] = WeakKeyDictionary()


def _complete(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state is TrialState.COMPLETE]


def _rungs(trial: FrozenTrial) -> dict[str, list[float]]:
    """Its values at each; none of one that was never trained."""
    found: dict[str, list[float]] = trial.user_attrs.get(RUNGS, {})
    return found


_rows_of: WeakKeyDictionary[Study, dict[Hashable, dict[int, tuple[float, ...]]]] = WeakKeyDictionary()
"""By parameters: what each trial that is not at work has chosen for them, in numbers; empty where they are not its."""


@cache
def _mend_the_normal_distribution() -> None:
    """Not before TPE has something to learn from: a search's first trials do not wait until SciPy is loaded."""
    from optuna.samplers._tpe import _truncnorm
    from scipy.special import log_ndtr

    _truncnorm._log_ndtr = log_ndtr


class Forgetful(TPESampler):
    """Optuna's sampler, shown a `Recent` study."""

    def __init__(self, memory: int, **options: Any):
        super().__init__(**options)
        self._memory = memory
        self._recent: Any = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Look at the study as it is now."""
        super().before_trial(study, trial)
        self._recent = Recent(study, self._memory)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Hear that a trial has ended, or pauses."""
        super().after_trial(study, trial, state, values)
        if study in _older_of:
            _older_of[study].hear(trial.number)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
        """What is learned together."""
        return super().infer_relative_search_space(self._recent.one_a_space(), trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
        """Values of it."""
        return super().sample_relative(self._recent, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """A value of what is not."""
        return super().sample_independent(self._recent, trial, param_name, param_distribution)

    def _get_internal_repr(self, trials: list[FrozenTrial], search_space: dict[str, Any], study: Any) -> Any:
        _mend_the_normal_distribution()
        rows = _rows_of.setdefault(study._study, {}).setdefault(tuple(search_space.items()), {})
        found = []
        for trial in trials:
            row = rows.get(trial.number)
            if row is None:
                chosen = self._get_params(trial, study)
                row = ()
                if search_space.keys() <= chosen.keys():
                    row = tuple(kind.to_internal_repr(chosen[name]) for name, kind in search_space.items())
                if trial.state is not TrialState.RUNNING:
                    rows[trial.number] = row
            if row:
                found.append(row)
        columns = zip(*found, strict=True) if found else [()] * len(search_space)
        return {name: np.asarray(column) for name, column in zip(search_space, columns, strict=True)}
