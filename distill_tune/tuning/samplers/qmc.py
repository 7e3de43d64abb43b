"""Quasi-Monte-Carlo: a scrambled Sobol sequence, which covers the space more evenly than random draws.

Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012, section 4. The position in the
sequence is kept in the study. Parameters that the first trial to end did not have are drawn at random.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Qmc(Sampler):
    """Covers the space evenly, and learns nothing."""

    several_objectives: ClassVar[bool] = True
    learns_from_others: ClassVar[bool] = False

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it; the sequence has the search's seed, and random draws are reseeded for each trial."""
        import optuna

        from distill_tune.tuning.samplers._continued import Continued

        return Continued(
            scramble=True,
            seed=seed,
            independent_sampler=optuna.samplers.RandomSampler(seed=proposal_seed(seed, number)),
        )
