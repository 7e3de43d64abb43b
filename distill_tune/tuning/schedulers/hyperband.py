"""Asynchronous Hyperband: successive halving in as many brackets as there are rungs.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 2018,
https://arxiv.org/abs/1603.06560; the asynchronous form is section 3.2 of the ASHA paper. It guards against rungs that
rank badly by giving some of the trials more epochs before they are judged.
"""

from __future__ import annotations

from typing import ClassVar

from distill_tune.config.searching import SearchConfig
from distill_tune.registry import SCHEDULERS
from distill_tune.tuning.schedulers._base import Judge, Scheduler, ladder
from distill_tune.tuning.schedulers.asha import Asha


@SCHEDULERS.register
class Hyperband(Scheduler):
    """ASHA with every bracket."""

    several_objectives: ClassVar[bool] = True

    def judge(self, search: SearchConfig) -> Judge:
        """A judge with as many brackets as rungs; in the last one, trials are judged only at the highest rung."""
        return _of_all_brackets(search).judge(search)

    def expected_epochs(self, search: SearchConfig) -> float:
        """Mean epochs per trial with those brackets."""
        return _of_all_brackets(search).expected_epochs(search)


def _of_all_brackets(search: SearchConfig) -> Asha:
    return Asha(brackets=max(1, len(ladder(search))))
