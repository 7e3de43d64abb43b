"""Optuna's CMA-ES, which goes on where the parameters that every trial has become fewer.

It evolves those that all trials so far have had. Where a parameter has been there for all by chance, such as the
temperature before the first trial with a loss that has none, the next evolution has one less. Optuna's keeps the old
one, finds that it does not fit, and draws at random for the rest of the search. Here a new one begins, which each
proposal tells of one more generation of the old one's trials.

Imported when a sampler is built: Optuna takes half a second.
"""

from __future__ import annotations

from typing import Any

from optuna import Study
from optuna.samplers import CmaEsSampler
from optuna.trial import FrozenTrial


class Shrinking(CmaEsSampler):
    """Optuna's sampler, which looks for an evolution of as many parameters as there are now."""

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: dict[str, Any]) -> dict[str, Any]:
        """Values of what every trial has."""
        self._num_evolved = len(search_space)
        return super().sample_relative(study, trial, search_space)

    def _restore_optimizer(self, completed_trials: list[FrozenTrial]) -> Any:
        for trial in reversed(completed_trials):
            found = super()._restore_optimizer([trial])
            if found is not None and found.dim == self._num_evolved:
                return found
        return None
