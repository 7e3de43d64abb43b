"""What a confirmation trains, as the logbook records it."""

from __future__ import annotations

from dataclasses import dataclass

from distill_tune.config import Config
from distill_tune.config.searching import ConfirmConfig

NUM_BASELINES = 2


@dataclass(frozen=True)
class ConfirmationPlan:
    """How many of the best trials are retrained, and in how many seeds."""

    top: int
    seeds: int
    searches: int = 1
    """Searches whose best are retrained: two if a search without a teacher runs alongside."""

    @classmethod
    def of(cls, config: Config, top: int | None = None, seeds: int | None = None) -> ConfirmationPlan:
        """The configured plan, with `top` and `seeds` overridden if given; `search.trials` caps a configured `top`."""
        confirm = config.confirm
        return cls(top or min(confirm.top, config.search.trials), seeds or confirm.seeds, num_searches(confirm))

    @property
    def chooses(self) -> bool:
        """Whether a winner is chosen among several; if so, it is judged by further seeds."""
        return self.top > 1

    @property
    def stages(self) -> tuple[int, int]:
        """Number of trainings that choose, and of those that follow: winners in further seeds, and baselines."""
        again = self.searches if self.chooses else 0
        return self.searches * self.top * self.seeds, (again + NUM_BASELINES) * self.seeds

    @property
    def num_runs(self) -> int:
        """Number of all trainings."""
        return sum(self.stages)

    def rounds(self, places: int) -> int:
        """Number of consecutive rounds of trainings, `places` at a time."""
        return sum(-(-runs // places) for runs in self.stages)

    @property
    def num_examined(self) -> int:
        """Number of students examined on test: the best of each search, and the baselines, in each seed."""
        return (self.searches + NUM_BASELINES) * self.seeds

    def seconds(self, run_s: float, examination_s: float, places: int) -> float:
        """Estimated duration from the seconds of one full training and one examination; `places` train at a time."""
        return self.rounds(places) * run_s + self.num_examined * examination_s


def num_searches(confirm: ConfirmConfig) -> int:
    """Number of searches to run."""
    return 2 if confirm.baseline_search else 1
