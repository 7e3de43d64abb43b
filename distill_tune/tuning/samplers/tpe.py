"""Tree-structured Parzen estimators.

Bergstra et al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; multivariate: Falkner et al., "BOHB",
ICML 2018, https://arxiv.org/abs/1807.01774. Running trials repel it (constant liar).

Optuna's looks at every trial for each proposal, which takes 40 ms after two thousand trials and keeps growing. Here it
looks at the latest trials and the best of the older ones (`_forgetful.py`), and does less arithmetic (`_fast_tpe.py`).

With several objectives the good trials are those on the first non-domination layers (Ozaki et al., "Multiobjective
Tree-structured Parzen Estimator", JAIR 2022).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar
from weakref import WeakKeyDictionary

from pydantic import Field, PrivateAttr

from distill_tune.registry import SAMPLERS
from distill_tune.tuning.samplers._base import Sampler, proposal_seed

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler

    from distill_tune.tuning.samplers._forgetful import Kept


@SAMPLERS.register
class Tpe(Sampler):
    """The default sampler."""

    several_objectives: ClassVar[bool] = True

    startup_trials: Annotated[int, Field(ge=0)] = 10
    """Random trials before it learns."""
    candidates: Annotated[int, Field(ge=1)] = 24
    """Points that it draws and ranks per proposal."""
    multivariate: bool = True
    """Whether parameters are learned jointly, in automatic groups of those that occur together."""
    memory: Annotated[int, Field(ge=100)] = 1000
    """How many of the latest trials it learns from, besides the best of all completed ones."""
    _kept: WeakKeyDictionary[Study, Kept] = PrivateAttr(default_factory=WeakKeyDictionary)
    """What the samplers that it builds keep of a study from proposal to proposal."""

    def build(self, seed: int, number: int) -> BaseSampler:
        """Build it, reseeded for each trial."""
        from distill_tune.tuning.samplers._forgetful import Forgetful

        return Forgetful(
            self.memory,
            self._kept,
            n_startup_trials=self.startup_trials,
            n_ei_candidates=self.candidates,
            multivariate=self.multivariate,
            group=self.multivariate,
            constant_liar=True,
            seed=proposal_seed(seed, number),
        )
