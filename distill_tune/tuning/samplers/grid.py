"""The grid: every combination once, in random order; conditional parameters are followed into each branch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from distill_tune.config import Space
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice
from distill_tune.errors import ConfigError
from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import EXHAUSTED, Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial, TrialState


@SAMPLERS.register
class Grid(Sampler):
    """For spaces of choices and integers."""

    several_objectives: ClassVar[bool] = True
    learns_from_others: ClassVar[bool] = False
    takes_intervals: ClassVar[bool] = False
    tries_each_once: ClassVar[bool] = True

    def build(self, seed: int, number: int) -> BaseSampler:
        """What has been tried is in the study; the order is reseeded for each trial."""
        return _each_once(proposal_seed(seed, number))

    def check(self, space: Space) -> None:
        """Refuse ranges that have no last value."""
        for path, found in space.ranges.items():
            if not isinstance(found, Choice) and not found.integer:
                raise ConfigError(
                    f"{dotted(path)}: search.sampler = 'grid' tries every value, but {found} has no end of them; write "
                    "{ choice = [...] }."
                )


def _each_once(seed: int) -> BaseSampler:
    """Optuna's stops its own optimisation loop after the last combination; there is none here, so a mark is left.

    What is at work counts as tried, or another place would try it too.
    """
    from optuna.samplers import BruteForceSampler

    class EachOnce(BruteForceSampler):
        def after_trial(
            self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
        ) -> None:
            try:
                super().after_trial(study, trial, state, values)
            except RuntimeError:  # of `study.stop()` outside of a loop
                study.set_user_attr(EXHAUSTED, True)

    return EachOnce(seed, avoid_premature_stop=False)
