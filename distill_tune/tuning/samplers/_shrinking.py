"""Optuna's CMA-ES, except that it copes with a shrinking set of parameters that every trial has.

It evolves the parameters that all trials so far have had. If all had one only by chance, such as the temperature before
the first trial with a loss that has none, the next evolution has one less. Optuna keeps the old evolution, finds that
it does not fit, and draws at random for the rest of the search. Here a new one begins, to which each proposal tells one
more generation of the old one's trials.

Imported only when a sampler is built, since importing Optuna takes half a second.
"""

from __future__ import annotations

from typing import Any

from optuna import Study
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial


class Shrinking(CmaEsSampler):
    """Optuna's sampler, which restores only an evolution with the current number of parameters."""

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        """Values of the parameters that every trial has."""
        self._num_evolved = len(search_space)
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            found = super()._restore_optimizer([trial])
            if found is not None and found.dim == self._num_evolved:
                return found
        return None
