"""Views of a study for samplers: only some of its trials, or trials in a modified state.

Optuna's GP, CMA-ES and NSGA-II learn only from complete trials. Under a scheduler with rungs few trials complete, and
they would keep drawing at random; so they are shown each stopped or paused trial as complete, with its values at the
highest rung that it reached. These are worse than what it would have reached in the end; but the best at each rung go
on, so the order is about right.

A student over a limit has no values, and GP would propose similar ones again and again. It is shown as no better than
the worst that was trained, and without its constraint, which would make GP model constraints for all trials.

Imported only when a sampler is built, since importing Optuna takes half a second.
"""

from __future__ import annotations

import copy
from collections.abc import Container
from typing import Any

from optuna import Study
from optuna.samplers import BaseSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from distill_tune.tuning.samplers._base import RUNGS


def signs_of(study: Study) -> list[int]:
    """The sign of each objective that makes larger values better."""
    return [1 if direction is StudyDirection.MAXIMIZE else -1 for direction in study.directions]


class Shown:
    """A view of a study with only some of its trials."""

    def __init__(self, study: Study, trials: list[FrozenTrial]):
        self._study, self._trials = study, trials
        if len(study.directions) == 1:
            self.direction = study.direction  # Optuna asks for it at each trial

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, states: Container[TrialState] | None = None, **options: Any) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]


class OfRungs(BaseSampler):
    """A sampler that also learns from stopped and paused trials and, with `shuns_refused`, from refused ones."""

    def __init__(self, sampler: BaseSampler, shuns_refused: bool = False):
        self._sampler, self._shuns_refused = sampler, shuns_refused
        self._shown: Any = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Take a view of the study as it is now."""
        self._sampler.before_trial(study, trial)
        self._shown = Shown(study, _known(study, self._shuns_refused))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
        """The wrapped sampler's search space, given the view."""
        return self._sampler.infer_relative_search_space(self._shown, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
        """Values in that search space."""
        return self._sampler.sample_relative(self._shown, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """A value of a parameter outside that search space."""
        return self._sampler.sample_independent(self._shown, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Notify the wrapped sampler."""
        self._sampler.after_trial(study, trial, state, values)


def _known(study: Study, shuns_refused: bool) -> list[FrozenTrial]:
    """All trials, those with values as complete; without failed ones, which may have been parents while paused."""
    trials = [_as_complete(trial) for trial in study._get_trials(deepcopy=False) if trial.state is not TrialState.FAIL]
    values = [trial.values for trial in trials if trial.state is TrialState.COMPLETE]
    if not shuns_refused or not values:
        return trials
    worst = [
        min(column, key=lambda value: sign * value)
        for sign, column in zip(signs_of(study), zip(*values, strict=True), strict=True)
    ]
    return [_as_bad(trial, worst) if trial.constraints and trial.values is None else trial for trial in trials]


def _as_bad(trial: FrozenTrial, worst: list[float]) -> FrozenTrial:
    """A student over a limit, shown as complete with the worst values of any trial."""
    shown = copy.copy(trial)
    shown.state, shown.values = TrialState.COMPLETE, worst
    shown.system_attrs = {}
    return shown


def _as_complete(trial: FrozenTrial) -> FrozenTrial:
    values = _highest_values(trial)
    if trial.state is not TrialState.PRUNED or values is None:
        return trial
    shown = copy.copy(trial)
    shown.state, shown.values = TrialState.COMPLETE, values
    return shown


def _highest_values(trial: FrozenTrial) -> list[float] | None:
    """A trial's values at its highest rung; None if it was never trained."""
    rungs = {int(epochs): values for epochs, values in trial.user_attrs.get(RUNGS, {}).items()}
    rungs |= {epochs: [value] for epochs, value in trial.intermediate_values.items()}
    return rungs[max(rungs)] if rungs else None
