"""Planning the time: how much of `--time` belongs to the search, and what confirmation the rest can pay for.

With what a confirmation finds, its examination on test is paid for too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from distill_tune.config import Config, parse_duration_s
from distill_tune.config.searching import LEAST_SEEDS, SearchConfig
from distill_tune.tuning.state.plan import ConfirmationPlan

CONFIRMATION_SHARE = 1 / 3
"""Share of `--time` that is kept back for the confirmation and the examination."""


@dataclass(frozen=True)
class Times:
    """Seconds of the time budget; None without one."""

    total_s: float | None
    search_s: float | None
    """For one search; where there are two, each has as much."""

    @classmethod
    def of(cls, search: SearchConfig, searches: int = 1, ended_with: str | None = None) -> Times:
        """The whole, and each search's part of it; of the time that has ended the first one, where it had another."""
        if (time := ended_with or search.time) is None:
            return cls(None, None)
        total_s = parse_duration_s(time)
        return cls(total_s, total_s * (1 - CONFIRMATION_SHARE) / searches)


def affordable_epochs(config: Config, epoch_s: float, total_s: float, places: int, examination_s: float = 0.0) -> int:
    """The most epochs a training may have so that the least confirmation fits into its share of the time.

    Never more than `search.max_epochs`, and never so few that trials could not be compared at a rung.

    Args:
        config: of the search.
        epoch_s: seconds of one epoch.
        total_s: the whole time budget.
        places: trainings at a time.
        examination_s: seconds of the examination of one student.
    """
    least = ConfirmationPlan.of(config, 1, LEAST_SEEDS)
    left_s = total_s * CONFIRMATION_SHARE - least.seconds(0.0, examination_s, places)
    epochs = int(left_s / least.seconds(epoch_s, 0.0, places))
    return max(least_epochs(config), min(config.search.max_epochs, epochs))


def least_epochs(config: Config) -> int:
    """Of fewer epochs trials could not be compared at a rung."""
    return min(config.search.max_epochs, config.search.min_epochs * config.search.reduction_factor)


def plan_confirmation(
    config: Config,
    num_candidates: int,
    run_s: float,
    left_s: float | None,
    places: int,
    examination_s: float = 0.0,
) -> ConfirmationPlan:
    """The largest confirmation, up to what is configured, that fits into the time left.

    Candidates are given up first, down to one, and then seeds, down to two, since an interval needs seeds; that much is
    planned even if it takes longer than is left.

    Args:
        config: its `[confirm]` is the most.
        num_candidates: trials of the search that there are to confirm.
        run_s: seconds of one full training.
        left_s: seconds left; None without a time budget.
        places: trainings at a time.
        examination_s: seconds of the examination of one student.
    """
    most = ConfirmationPlan.of(config, min(config.confirm.top, num_candidates))
    if left_s is None:
        return most
    plans = [replace(most, top=top) for top in range(most.top, 0, -1)]
    plans += [replace(most, top=1, seeds=seeds) for seeds in range(most.seeds - 1, LEAST_SEEDS - 1, -1)]
    return next((plan for plan in plans if plan.seconds(run_s, examination_s, places) <= left_s), plans[-1])
