"""Plan the time: how much of `--time` the search gets, and what confirmation the rest can pay for.

The examination on test of what a confirmation finds is paid for too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distill_tune.config import Config, parse_duration_s
from distill_tune.config.searching import LEAST_SEEDS, SearchConfig
from distill_tune.tuning.state.plan import ConfirmationPlan

CONFIRMATION_SHARE = 1 / 3
"""Share of `--time` reserved for the confirmation and the examination."""


@dataclass(frozen=True)
class Times:
    """Seconds of the time budget; None without one."""

    total_s: float | None
    search_s: float | None
    """For one search; if there are two, each gets this much."""

    @classmethod
    def of(cls, search: SearchConfig, searches: int = 1, ended_with: str | None = None) -> Times:
        """The total and each search's part of it; `ended_with` is the time that ended the first search, if any."""
        if (time := ended_with or search.time) is None:
            return cls(None, None)
        total_s = parse_duration_s(time)
        return cls(total_s, total_s * (1 - CONFIRMATION_SHARE) / searches)


def affordable_epochs(config: Config, epoch_s: float, total_s: float, places: int, examination_s: float = 0.0) -> int:
    """The most epochs a training run may have so that the smallest confirmation fits into its share of the time.

    Never more than `search.max_epochs`, and never too few to compare trials at a rung.

    Args:
        config: the search's configuration.
        epoch_s: seconds per epoch.
        total_s: the whole time budget in seconds.
        places: training runs at a time.
        examination_s: seconds to examine one student.
    """
    least = ConfirmationPlan.of(config, 1, LEAST_SEEDS)
    left_s = total_s * CONFIRMATION_SHARE - least.seconds(0.0, examination_s, places)
    epochs = int(left_s / least.seconds(epoch_s, 0.0, places))
    return max(least_epochs(config), min(config.search.max_epochs, epochs))


def least_epochs(config: Config) -> int:
    """The fewest epochs with which trials can be compared at a rung."""
    return min(config.search.max_epochs, config.search.min_epochs * config.search.reduction_factor)


def plan_confirmation(
    config: Config,
    runs_s: Sequence[float],
    left_s: float | None,
    places: int,
    examination_s: float = 0.0,
) -> ConfirmationPlan:
    """The largest confirmation, up to what is configured, that fits into the time left.

    Candidates are given up first, down to one, and then seeds, down to two, since an interval needs seeds; that much is
    planned even if it takes longer than the time left. All trainings are taken to be as long as the longest, since the
    slowest of the candidates may win.

    Args:
        config: its `[confirm]` is the upper bound.
        runs_s: for each trial that could be confirmed, in order of priority, the seconds of one full training run.
        left_s: seconds left; None without a time budget.
        places: training runs at a time.
        examination_s: seconds to examine one student.
    """
    most = ConfirmationPlan.of(config, min(config.confirm.top, len(runs_s)))
    if left_s is None:
        return most
    plans = [replace(most, top=top) for top in range(most.top, 0, -1)]
    plans += [replace(most, top=1, seeds=seeds) for seeds in range(most.seeds - 1, LEAST_SEEDS - 1, -1)]
    fitting = (plan for plan in plans if plan.seconds(max(runs_s[: plan.top]), examination_s, places) <= left_s)
    return next(fitting, plans[-1])
