"""Gaussian-process Bayesian optimisation (Optuna's own, expected improvement in logarithms).

Ament et al., "Unexpected Improvements to Expected Improvement", NeurIPS 2023, https://arxiv.org/abs/2310.20708. Strong
for few and long trials; the time of a proposal grows with the cube of the number of trials. It learns from parameters
that every trial has; conditional ones are drawn at random. With several objectives it maximises the expected
hypervolume improvement (Daulton et al., NeurIPS 2020, https://arxiv.org/abs/2006.05078).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Gp(Sampler):
    """For searches of up to a few hundred trials."""

    several_objectives: ClassVar[bool] = True

    startup_trials: Annotated[int, Field(ge=1)] = 10
    """Random trials before it learns."""

    @property
    def num_at_random(self) -> int:
        """`startup_trials`."""
        return self.startup_trials

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it, reseeded for each trial."""
        import optuna

        from distill_tune.tuning.samplers._shown import OfRungs

        made = optuna.samplers.GPSampler(n_startup_trials=self.startup_trials, seed=proposal_seed(seed, number))
        return OfRungs(made, shuns_refused=True)
