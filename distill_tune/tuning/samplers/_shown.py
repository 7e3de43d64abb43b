"""What a sampler is shown of a study: some of its trials, or all of them in another light.

Optuna's GP, CMA-ES and NSGA-II learn from complete trials alone. Under a scheduler with rungs few trials are complete,
and they would draw at random all along, so they are shown each stopped or paused trial as complete, with its values at
the highest rung that it has reached. That is lower than it would have come to; but the best at each rung go on, so the
order is about right.
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


def with_rungs(sampler: BaseSampler) -> BaseSampler:
    """The same sampler, which learns from stopped and paused trials too."""
    made: BaseSampler = _of_rungs()(sampler)
    return made


def _known(study: Study) -> list[FrozenTrial]:
    """All trials as complete that have values; a failed one, which may have been a parent while it paused, is none."""
    trials = study._get_trials(deepcopy=False)
    return [_as_complete(trial) for trial in trials if trial.state.name != "FAIL"]


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
        def __init__(self, sampler: BaseSampler):
            self._sampler = sampler
            self._shown: Any = None

        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            self._sampler.before_trial(study, trial)
            self._shown = Shown(study, _known(study))

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
            return self._sampler.infer_relative_search_space(self._shown, trial)

        def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
            return self._sampler.sample_relative(self._shown, trial, search_space)

        def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
            return self._sampler.sample_independent(self._shown, trial, param_name, param_distribution)

        def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
            self._sampler.after_trial(study, trial, state, values)

    return OfRungs
