"""The grid: every combination once, in random order; conditional parameters are followed into each branch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.config import Space
from distill_tune.config.corners import of_some_trial
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice
from distill_tune.errors import ConfigError
from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Grid(Sampler):
    """For spaces of choices and integers."""

    several_objectives: ClassVar[bool] = True
    learns_from_others: ClassVar[bool] = False
    takes_intervals: ClassVar[bool] = False
    tries_each_once: ClassVar[bool] = True

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it; what has been tried is in the study, and the order is reseeded for each trial."""
        from optuna.samplers import BruteForceSampler

        # Running trials count as tried.
        return BruteForceSampler(proposal_seed(seed, number), avoid_premature_stop=False)

    def check(self, space: Space) -> None:
        """Refuse continuous ranges that any trial has."""
        for path, found in of_some_trial(space).items():
            if not isinstance(found, Choice) and not found.integer:
                raise ConfigError(
                    f"{dotted(path)}: search.sampler = 'grid' tries every value, but {found} has no end of them; write "
                    "{ choice = [...] }."
                )
