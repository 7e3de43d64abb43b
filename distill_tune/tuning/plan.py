"""Planning the time: how much of `--time` belongs to the search, and what confirmation the rest can pay for."""

from __future__ import annotations

from dataclasses import dataclass

from distill_tune.config import Config, parse_duration_s
from distill_tune.config.searching import SearchConfig

CONFIRMATION_SHARE = 1 / 3
"""Of `--time`: kept back for the confirmation."""
NUM_BASELINES = 2
_LEAST_SEEDS = 2


@dataclass(frozen=True)
class ConfirmationPlan:
    """How many of the best trials are trained again, in how many seeds."""

    top: int
    seeds: int

    @property
    def num_runs(self) -> int:
        """Trainings, the baselines among them."""
        return (self.top + NUM_BASELINES) * self.seeds


@dataclass(frozen=True)
class Times:
    """Seconds of the time budget; None without one."""

    total_s: float | None
    search_s: float | None

    @classmethod
    def of(cls, search: SearchConfig) -> Times:
        """The whole, and the search's part of it."""
        if search.time is None:
            return cls(None, None)
        total_s = parse_duration_s(search.time)
        return cls(total_s, total_s * (1 - CONFIRMATION_SHARE))


def affordable_epochs(config: Config, epoch_s: float, total_s: float, places: int) -> int:
    """The most epochs a training may have so that the least confirmation fits into its share of the time.

    Never more than `search.max_epochs`, and never so few that trials could not be compared at a rung.

    Args:
        config: of the search.
        epoch_s: seconds of one epoch.
        total_s: the whole time budget.
        places: trainings at a time.
    """
    least = ConfirmationPlan(1, _LEAST_SEEDS)
    turns = -(-least.num_runs // places)
    epochs = int(total_s * CONFIRMATION_SHARE / (turns * epoch_s))
    floor = min(config.search.max_epochs, config.search.min_epochs * config.search.reduction_factor)
    return max(floor, min(config.search.max_epochs, epochs))


def plan_confirmation(
    config: Config, num_candidates: int, run_s: float, left_s: float | None, places: int
) -> ConfirmationPlan:
    """The largest confirmation, up to what is configured, that fits into the time left.

    Seeds are given up last but one, candidates first: an interval needs seeds. The least is one candidate in two seeds,
    even if that takes longer than is left.

    Args:
        config: its `[confirm]` is the most.
        num_candidates: trials that there are to confirm.
        run_s: seconds of one full training.
        left_s: seconds left; None without a time budget.
        places: trainings at a time.
    """
    most = ConfirmationPlan(min(config.confirm.top, num_candidates), config.confirm.seeds)
    if left_s is None:
        return most
    plans = [ConfirmationPlan(top, most.seeds) for top in range(most.top, 0, -1)]
    plans += [ConfirmationPlan(1, seeds) for seeds in range(most.seeds - 1, _LEAST_SEEDS - 1, -1)]
    return next((plan for plan in plans if -(-plan.num_runs // places) * run_s <= left_s), plans[-1])
