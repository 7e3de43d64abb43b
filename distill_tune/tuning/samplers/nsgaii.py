"""NSGA-II: a genetic algorithm for one or several objectives.

Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm", IEEE Trans. Evol. Comp. 2002. Its generations are
kept in the study. Parents pass on the parameters that every trial has; conditional ones are drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Nsgaii(Sampler):
    """For fronts, and searches of many trials."""

    several_objectives: ClassVar[bool] = True
    learns_from_others: ClassVar[bool] = False

    population: Annotated[int, Field(ge=2)] = 50
    """Trials per generation."""

    @property
    def num_at_random(self) -> int:
        """One generation."""
        return self.population

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it, reseeded for each trial."""
        import optuna

        from distill_tune.tuning.samplers._shown import OfRungs

        return OfRungs(optuna.samplers.NSGAIISampler(population_size=self.population, seed=proposal_seed(seed, number)))
