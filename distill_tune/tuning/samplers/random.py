"""Random search: the baseline that every other sampler must beat (Bergstra and Bengio, JMLR 2012)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Random(Sampler):
    """Independent random draws."""

    several_objectives: ClassVar[bool] = True
    learns_from_others: ClassVar[bool] = False

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it, reseeded for each trial."""
        import optuna

        return optuna.samplers.RandomSampler(seed=proposal_seed(seed, number))
