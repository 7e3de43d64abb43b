"""What a sampler is shown of a study: some of its trials, or all of them in another light.

Optuna's GP, CMA-ES and NSGA-II learn from complete trials alone. Under a scheduler with rungs few trials are complete,
and they would draw at random all along, so they are shown each stopped or paused trial as complete, with its values at
the highest rung that it has reached. That is lower than it would have come to; but the best at each rung go on, so the
order is about right.

A student over a limit has no value, and GP would propose its like again and again. It is shown as no better than the
worst that was trained, and without its constraint, for whose sake GP would model that of all others.

Imported when a sampler is built: Optuna takes half a second.
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
    """By which each objective is larger where it is better."""
    return [1 if direction is StudyDirection.MAXIMIZE else -1 for direction in study.directions]


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


class OfRungs(BaseSampler):
    """A sampler that learns from stopped and paused trials too, and, if told so, from refused ones."""

    def __init__(self, sampler: BaseSampler, shuns_refused: bool = False):
        self._sampler, self._shuns_refused = sampler, shuns_refused
        self._shown: Any = None

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Look at the study as it is now."""
        self._sampler.before_trial(study, trial)
        self._shown = Shown(study, _known(study, self._shuns_refused))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
        """As the sampler has it of what it is shown; so are the others."""
        return self._sampler.infer_relative_search_space(self._shown, trial)

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
        """Values of it."""
        return self._sampler.sample_relative(self._shown, trial, search_space)

    def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
        """A value of what is not in it."""
        return self._sampler.sample_independent(self._shown, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """Let the sampler hear of it."""
        self._sampler.after_trial(study, trial, state, values)


def _known(study: Study, shuns_refused: bool) -> list[FrozenTrial]:
    """All trials as complete that have values; a failed one, which may have been a parent while it paused, is none."""
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
    """A student over a limit, as complete with the worst values that any other has."""
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
    """What it reached at its highest rung; None of one that was never trained."""
    rungs = {int(epochs): values for epochs, values in trial.user_attrs.get(RUNGS, {}).items()}
    rungs |= {epochs: [value] for epochs, value in trial.intermediate_values.items()}
    return rungs[max(rungs)] if rungs else None
