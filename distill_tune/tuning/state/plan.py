"""What a confirmation trains, as the logbook records it."""

from __future__ import annotations

from dataclasses import dataclass

from distill_tune.config import Config
from distill_tune.config.searching import ConfirmConfig

NUM_BASELINES = 2


@dataclass(frozen=True)
class ConfirmationPlan:
    """How many of the best trials are trained again, in how many seeds."""

    top: int
    seeds: int
    searches: int = 1
    """Searches whose best are trained again: two where one without a teacher stands beside the search."""

    @classmethod
    def of(cls, config: Config, top: int | None = None, seeds: int | None = None) -> ConfirmationPlan:
        """What is configured, with other numbers where they are given; no more are trained again than there are."""
        confirm = config.confirm
        return cls(top or min(confirm.top, config.search.trials), seeds or confirm.seeds, num_searches(confirm))

    @property
    def chooses(self) -> bool:
        """Whether a winner is chosen among several: then it is judged by further seeds."""
        return self.top > 1

    @property
    def stages(self) -> tuple[int, int]:
        """Trainings that choose; those that follow: of the winners in further seeds, and of the baselines."""
        again = self.searches if self.chooses else 0
        return self.searches * self.top * self.seeds, (again + NUM_BASELINES) * self.seeds

    @property
    def num_runs(self) -> int:
        """All trainings."""
        return sum(self.stages)

    def rounds(self, places: int) -> int:
        """How many trainings come one after another, `places` at a time."""
        return sum(-(-runs // places) for runs in self.stages)

    @property
    def num_examined(self) -> int:
        """Students that meet the test split: the best of each search, and the baselines, in each seed."""
        return (self.searches + NUM_BASELINES) * self.seeds

    def seconds(self, run_s: float, examination_s: float, places: int) -> float:
        """How long it takes, by a full training and the examination of one student; `places` train at a time."""
        return self.rounds(places) * run_s + self.num_examined * examination_s


def num_searches(confirm: ConfirmConfig) -> int:
    """How many searches are made."""
    return 2 if confirm.baseline_search else 1
