"""CMA-ES: an evolution strategy for numbers.

Hansen, "The CMA Evolution Strategy: A Tutorial", https://arxiv.org/abs/1604.00772; through the `cmaes` package. Its
state is kept in the study. Choices and conditional parameters are drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from distill_tune.config import Space
from distill_tune.config.corners import of_every_trial
from distill_tune.config.ranges import Choice
from distill_tune.errors import ConfigError
from distill_tune.optional import imported
from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Cmaes(Sampler):
    """For spaces of numbers, and searches of many trials."""

    learns_from_others: ClassVar[bool] = False

    startup_trials: Annotated[int, Field(ge=1)] = 10
    """Random trials before the evolution begins."""

    @property
    def num_at_random(self) -> int:
        """`startup_trials`."""
        return self.startup_trials

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it; its state is in the study, and random draws are reseeded for each trial."""
        import optuna

        from distill_tune.tuning.samplers._shown import OfRungs
        from distill_tune.tuning.samplers._shrinking import Shrinking

        return OfRungs(
            Shrinking(
                n_startup_trials=self.startup_trials,
                seed=seed,
                independent_sampler=optuna.samplers.RandomSampler(seed=proposal_seed(seed, number)),
            )
        )

    def check(self, space: Space) -> None:
        """Refuse a space without numbers to evolve, and an installation without the `cmaes` package."""
        imported("cmaes", "search.sampler: 'cmaes'", ConfigError)
        if all(isinstance(found, Choice) for found in of_every_trial(space).values()):
            raise ConfigError(
                "search.sampler: 'cmaes' needs ranges of numbers that every trial has, but all are choices or "
                "conditional; use 'tpe'."
            )
