"""What a sampler is shown of a study: some of its trials, or all of them in another light.

Optuna's GP, CMA-ES and NSGA-II learn from complete trials alone. Under a scheduler with rungs few trials are complete,
and they would draw at random all along, so they are shown each stopped or paused trial as complete, with its values at
the highest rung that it has reached. That is lower than it would have come to; but the best at each rung go on, so the
order is about right.

A student over a limit has no value, and GP would propose its like again and again. It is shown as no better than the
worst that was trained, and without its constraint, for whose sake GP would model that of all others.
"""

from __future__ import annotations

import copy
from collections.abc import Container
from functools import cache
from typing import TYPE_CHECKING, Any

from distill_tune.tuning.samplers._base import RUNGS

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, TrialState


class Shown:
    """A study in which only some trials can be seen."""

    def __init__(self, study: Study, trials: list[FrozenTrial]):
        self._study, self._trials = study, trials
        if len(study.directions) == 1:
            self.direction = study.direction  # Optuna asks for it at each trial

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, states: Container[TrialState] | None = None, **options: Any) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]


def with_rungs(sampler: BaseSampler, shuns_refused: bool = False) -> BaseSampler:
    """The same sampler, which learns from stopped and paused trials too, and, if told so, from refused ones."""
    made: BaseSampler = _of_rungs()(sampler, shuns_refused)
    return made


def _known(study: Study, shuns_refused: bool) -> list[FrozenTrial]:
    """All trials as complete that have values; a failed one, which may have been a parent while it paused, is none."""
    trials = [_as_complete(trial) for trial in study._get_trials(deepcopy=False) if trial.state.name != "FAIL"]
    values = [trial.values for trial in trials if trial.state.name == "COMPLETE"]
    if not shuns_refused or not values:
        return trials
    signs = [1 if direction.name == "MAXIMIZE" else -1 for direction in study.directions]
    worst = [
        min(column, key=lambda value: sign * value)
        for sign, column in zip(signs, zip(*values, strict=True), strict=True)
    ]
    return [_as_bad(trial, worst) if trial.constraints and trial.values is None else trial for trial in trials]


def _as_bad(trial: FrozenTrial, worst: list[float]) -> FrozenTrial:
    """A student over a limit, as complete with the worst values that any other has."""
    from optuna.trial import TrialState

    shown = copy.copy(trial)
    shown.state, shown.values = TrialState.COMPLETE, worst
    shown.system_attrs = {}
    return shown


def _as_complete(trial: FrozenTrial) -> FrozenTrial:
    from optuna.trial import TrialState

    values = _highest_values(trial)
    if trial.state is not TrialState.PRUNED or values is None:
        return trial
    shown = copy.copy(trial)
    shown.state, shown.values = TrialState.COMPLETE, values
    return shown


def _highest_values(trial: FrozenTrial) -> list[float] | None:
    """What it reached at its highest rung; None of one that was never trained."""
    rungs = {int(epochs): values for epochs, values in trial.user_attrs.get(RUNGS, {}).items()}
    rungs |= {epochs: [value] for epochs, value in trial.intermediate_values.items()}
    return rungs[max(rungs)] if rungs else None


@cache
def _of_rungs() -> Any:
    """A sampler around another; made when it is needed, since Optuna takes half a second to import."""
    from optuna.samplers import BaseSampler

    class OfRungs(BaseSampler):
        def __init__(self, sampler: BaseSampler, shuns_refused: bool):
            self._sampler, self._shuns_refused = sampler, shuns_refused
            self._shown: Any = None

        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            self._sampler.before_trial(study, trial)
            self._shown = Shown(study, _known(study, self._shuns_refused))

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
            return self._sampler.infer_relative_search_space(self._shown, trial)

        def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
            return self._sampler.sample_relative(self._shown, trial, search_space)

        def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
            return self._sampler.sample_independent(self._shown, trial, param_name, param_distribution)

        def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
            self._sampler.after_trial(study, trial, state, values)

    return OfRungs
