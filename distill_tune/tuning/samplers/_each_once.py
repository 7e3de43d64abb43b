"""Optuna's brute force stops its own optimisation loop after the last combination; there is none here.

So a mark is left in the study. Imported when a sampler is built: Optuna takes half a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna import Study
from optuna.samplers import BruteForceSampler
from optuna.trial import FrozenTrial, TrialState

from distill_tune.tuning.samplers._base import EXHAUSTED


class EachOnce(BruteForceSampler):
    """Every combination once."""

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        """Mark the study after the last one."""
        try:
            super().after_trial(study, trial, state, values)
        except RuntimeError:  # of `study.stop()` outside of a loop
            study.set_user_attr(EXHAUSTED, True)
