"""Tree-structured Parzen estimators.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; multivariate: Falkner et al., "BOHB",
ICML 2018, https://arxiv.org/abs/1807.01774. Trials that are still running repel it (constant liar).

Optuna's looks at every trial for each proposal, which takes 40 ms after two thousand and grows on. Here it looks at the
latest ones and at the best of the older: up to `memory` trials that is the same, and beyond it a proposal takes as long
as the last one did.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, TrialState

_BEST = 100
"""Of the older trials, so many are remembered: TPE calls 25 at most good."""


@SAMPLERS.register
class Tpe(Sampler):
    """The default."""

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


class Recent:
    """A study in which only the latest and the best trials can be seen, as they are when it is made."""

    def __init__(self, study: Study, memory: int):
        self._study = study
        trials = study._get_trials(deepcopy=False)
        older, latest = trials[:-memory], trials[-memory:]
        ended = [trial for trial in older if trial.state.name == "COMPLETE"]
        is_larger_better = study.direction.name == "MAXIMIZE"
        best = sorted(ended, key=lambda trial: trial.values[0], reverse=is_larger_better)[:_BEST]
        self._trials = sorted(best, key=lambda trial: trial.number) + latest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(self, states: Container[TrialState] | None = None, **options: Any) -> list[FrozenTrial]:
        return [trial for trial in self._trials if states is None or trial.state in states]


@cache
def _forgetful() -> Any:
    """Optuna's sampler, shown a `Recent` study; made when it is needed, since it takes half a second to import."""
    from optuna.samplers import TPESampler

    class Forgetful(TPESampler):
        def __init__(self, memory: int, **options: Any):
            super().__init__(**options)
            self._memory = memory
            self._recent: Any = None

        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            super().before_trial(study, trial)
            self._recent = Recent(study, self._memory)

        def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Any:
            return super().infer_relative_search_space(self._recent, trial)

        def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> Any:
            return super().sample_relative(self._recent, trial, search_space)

        def sample_independent(self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any) -> Any:
            return super().sample_independent(self._recent, trial, param_name, param_distribution)

    return Forgetful
