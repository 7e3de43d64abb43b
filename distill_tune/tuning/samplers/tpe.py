"""Tree-structured Parzen estimators.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; multivariate: Falkner et al., "BOHB",
ICML 2018, https://arxiv.org/abs/1807.01774. Trials that are still running repel it (constant liar).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


@SAMPLERS.register
class Tpe(Sampler):
    """The default."""

    startup_trials: Annotated[int, Field(ge=0)] = 10
    """At random before it learns."""
    candidates: Annotated[int, Field(ge=1)] = 24
    """Points that it draws and ranks for each proposal."""
    multivariate: bool = True
    """Whether parameters are learned together; groups of those that exist together are formed by itself."""

    def build(self, seed: int, number: int) -> BaseSampler:
        """Reseeded for each trial."""
        import optuna

        return optuna.samplers.TPESampler(
            n_startup_trials=self.startup_trials,
            n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
            group=self.multivariate,
            constant_liar=True,
            seed=proposal_seed(seed, number),
        )
