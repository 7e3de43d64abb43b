"""Tree-structured Parzen estimators.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; multivariate: Falkner et al., "BOHB",
ICML 2018, https://arxiv.org/abs/1807.01774. Trials that are still running repel it (constant liar).

Optuna's looks at every trial for each proposal, which takes 40 ms after two thousand and grows on. Here it looks at the
latest ones and at the best of the older: up to `memory` trials that is the same, and beyond it a proposal takes as long
as the last one did. And half of that is saved: what a trial has chosen is put into numbers once, and the logarithm of
the normal distribution, of which Optuna has one in Python, is SciPy's.

With several objectives the good ones are those on the first layers of domination (Ozaki et al., "Multiobjective
Tree-structured Parzen Estimator", JAIR 2022). Such a study knows nothing of stopped trials but that they were stopped,
and Optuna's calls the first of them good where too few have come to their end. Here it is shown them in the order of
how far they came and, where that is equal, of how good they were there.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from weakref import WeakKeyDictionary

from pydantic import Field

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.dominance import Scores, best_of
from distill_tune.tuning.samplers._base import RUNGS, Sampler, proposal_seed
from distill_tune.tuning.samplers._shown import Shown

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_BEST = 100
"""How many of the older trials are remembered: TPE calls 25 at most good."""
_GOOD = 25
"""How many of the stopped ones are put in order: no more than TPE can call good."""


@SAMPLERS.register
class Tpe(Sampler):
    """The default."""

    several_objectives: ClassVar[bool] = True

    startup_trials: Annotated[int, Field(ge=0)] = 10
    """At random before it learns."""
    candidates: Annotated[int, Field(ge=1)] = 24
    """Points that it draws and ranks for each proposal."""
    multivariate: bool = True
    """Whether parameters are learned together; groups of those that exist together are formed by itself."""
    memory: Annotated[int, Field(ge=100)] = 1000
    """The latest trials that it learns from, beside the best of all that came to their end."""

    def build(self, seed: int, number: int) -> BaseSampler:
        """Reseeded for each trial."""
        made: BaseSampler = _forgetful()(
            self.memory,
            n_startup_trials=self.startup_trials,
            n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
            group=self.multivariate,
            constant_liar=True,
            seed=proposal_seed(seed, number),
        )
        return made


class Recent(Shown):
    """A study in which only the latest and the best trials can be seen, as they are when it is made."""

    def __init__(self, study: Study, memory: int):
        trials = study._get_trials(deepcopy=False)
        older, latest = trials[:-memory], trials[-memory:]
        ended = _older_of.setdefault(study, Older()).ended(study, older)
        self._signs = [1 if direction.name == "MAXIMIZE" else -1 for direction in study.directions]
        seen = sorted(self._best_of(ended), key=lambda trial: trial.number) + latest
        super().__init__(study, self._in_order(seen) if len(self._signs) > 1 else seen)

    def one_a_space(self) -> Shown:
        """The same with the first trial of each set of parameters: the others say nothing more of what the sets are."""
        firsts: dict[frozenset[str], FrozenTrial] = {}
        for trial in self._trials:
            if trial.state.name in ("COMPLETE", "PRUNED"):
                firsts.setdefault(frozenset(trial.distributions), trial)
        return Shown(self._study, list(firsts.values()))

    def _best_of(self, ended: list[FrozenTrial]) -> list[FrozenTrial]:
        if len(self._signs) == 1:
            return sorted(ended, key=lambda trial: trial.values[0], reverse=self._signs[0] > 0)[:_BEST]
        return [ended[place] for place in best_of([self._scores(trial.values) for trial in ended], _BEST)]

    def _in_order(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """Stopped trials last, and of these the farthest and best first; Optuna's sort keeps the order of equals."""
        at = {
            t.number: max((int(e), values) for e, values in t.user_attrs[RUNGS].items()) for t in trials if _stopped(t)
        }
        ordered = [trial for trial in trials if trial.number not in at]
        for epochs in sorted({epochs for epochs, _ in at.values()}, reverse=True):
            group = [trial for trial in trials if at.get(trial.number, (0,))[0] == epochs]
            best = best_of([self._scores(at[trial.number][1]) for trial in group], _GOOD)
            ordered += [group[place] for place in best]
            ordered += [trial for place, trial in enumerate(group) if place not in set(best)]
        return ordered

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
            sign = 1 if study.direction.name == "MAXIMIZE" else -1
            best = sorted(self._best, key=lambda trial: -sign * trial.values[0])[:_BEST]
            self._best = sorted(best, key=lambda trial: trial.number)
        return self._best


_older_of: WeakKeyDictionary[Study, Older] = WeakKeyDictionary()


def _complete(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    return [trial for trial in trials if trial.state.name == "COMPLETE"]


def _stopped(trial: FrozenTrial) -> bool:
    return trial.state.name == "PRUNED" and bool(trial.user_attrs.get(RUNGS))


_rows_of: WeakKeyDictionary[Study, dict[Hashable, dict[int, tuple[float, ...]]]] = WeakKeyDictionary()
"""By parameters: what each trial that is not at work has chosen for them, in numbers; empty where they are not its."""


@cache
def _mend_the_normal_distribution() -> None:
    """Not before TPE has something to learn from: a search's first trials do not wait until SciPy is loaded."""
    from optuna.samplers._tpe import _truncnorm
    from scipy.special import log_ndtr

    _truncnorm._log_ndtr = log_ndtr


@cache
def _forgetful() -> Any:
    """Optuna's sampler, shown a `Recent` study; made when it is needed, since it takes half a second to import."""
    import numpy as np
    from optuna.samplers import TPESampler
    from optuna.trial import TrialState

    class Forgetful(TPESampler):
        def __init__(self, memory: int, **options: Any):
            super().__init__(**options)
            self._memory = memory
            self._recent: Any = None

        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            super().before_trial(study, trial)
            self._recent = Recent(study, self._memory)

        def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
            super().after_trial(study, trial, state, values)
            if study in _older_of:
                _older_of[study].hear(trial.number)

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
            return super().infer_relative_search_space(self._recent.one_a_space(), trial)

        def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
            return super().sample_relative(self._recent, trial, search_space)

        def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
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

    return Forgetful
