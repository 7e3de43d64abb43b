"""The base class of samplers: options, and how to build the Optuna sampler for one proposal.

A sampler is built anew for each proposal, seeded from the search's seed and the trial's number. So what it proposes
depends only on the study, not on how often the program was started: a resumed search proposes what it would have
proposed without the interruption.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from distill_tune.registry import Options

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from distill_tune.config import Space
    from distill_tune.config.searching import SearchConfig


EXHAUSTED = "distill_tune:exhausted"
"""A user attribute of a study whose sampler has nothing left to propose."""
RUNGS = "distill_tune:rungs"
"""A user attribute of each trial of a study with several objectives: maps epochs to its values at that rung."""


class Sampler(Options, ABC):
    """A sampler's options, from `[search.<name>]`."""

    several_objectives: ClassVar[bool] = False
    """Whether it can propose for more than one objective."""

    takes_intervals: ClassVar[bool] = True
    """Whether it can sample continuous ranges."""

    tries_each_once: ClassVar[bool] = False
    """Whether it is finite: it proposes every combination once, and calls `study.stop()` after the last."""

    learns_from_others: ClassVar[bool] = True
    """Whether the trials of other searches (`search.start_from`) improve its proposals."""

    @property
    def ending(self) -> str:
        """What to say when it has nothing left to propose."""
        return "every combination of the space has been tried" if self.tries_each_once else "it has stopped the study"

    @classmethod
    def of(cls, section: SearchConfig) -> Sampler:
        """The sampler that `[search]` names, with its options."""
        return section.chosen("sampler", cls)

    @property
    def num_at_random(self) -> int:
        """How many trials it draws at random before it learns, if that may be all of a short search."""
        return 0

    @abstractmethod
    def build(self, seed: int, number: int) -> BaseSampler:
        """The Optuna sampler for trial `number` of a search with `seed`."""

    def check(self, space: Space) -> None:
        """Refuse a space that it cannot sample.

        Raises:
            ConfigError: it cannot; the message says why, and what to do.
        """


def proposal_seed(seed: int, number: int) -> int:
    """A seed for one proposal, determined by the search's seed and the trial's number."""
    return int.from_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest()[:4])
