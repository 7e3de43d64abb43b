"""Where a search's time went, phase by phase, read from its ledger."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import inf

from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report


@dataclass
class Clock:
    """Wall time by phase, in seconds."""

    total_s: float = 0.0
    prepare_s: float = 0.0
    start_s: float = 0.0
    """From the end of preparation to the first trial's first step."""
    search_s: float = 0.0
    """From the first trial's first step to the last trial's end."""
    baseline_search_s: float = 0.0
    """The same for the search without a teacher."""
    confirm_s: float = 0.0
    export_s: float = 0.0

    def searched(self, ledger: Ledger, prepared_s: float, earlier_s: float = 0.0, at_most_s: float = inf) -> None:
        """Set the phases of a search that has just ended.

        Args:
            ledger: its trials.
            prepared_s: when preparation ended, in seconds since 1970.
            earlier_s: seconds of searching in earlier sessions.
            at_most_s: as for `searched_s`.
        """
        self.start_s = (first_step_s(ledger, prepared_s) or time.time()) - prepared_s
        self.search_s = searched_s(ledger, prepared_s, earlier_s, at_most_s)


def searched_s(ledger: Ledger, since_s: float, earlier_s: float = 0.0, at_most_s: float = inf) -> float:
    """Seconds from the first trial's first step since `since_s` to the last trial's end, plus `earlier_s`.

    `at_most_s` is what the search has taken by the monotonic clock: while the machine was suspended, it stood still.
    """
    first_s, last_s = first_step_s(ledger, since_s), last_end_s(ledger, since_s)
    return earlier_s + (min(at_most_s, max(0.0, last_s - first_s)) if first_s and last_s else 0.0)


def first_step_s(ledger: Ledger, since_s: float = 0.0) -> float | None:
    """When the first training step since `since_s` was made (seconds since 1970); None if there was none.

    A step's time comes from the clock of its node, which may be wrong, but it must lie between `since_s` and the time
    when this process heard of the epoch. A step made earlier and restored from a checkpoint counts as made at `since_s`
    or later.
    """
    told = ((record, report) for record in ledger.records.values() for report in record.reports)
    heard = ((report, record.heard_s[int(report["epoch"])]) for record, report in told)
    return min((_began_s(report, heard_s, since_s) for report, heard_s in heard if heard_s >= since_s), default=None)


def _began_s(report: Report, heard_s: float, since_s: float) -> float:
    told_s = report["time/began_s"]
    if not since_s <= told_s <= heard_s:
        told_s = heard_s - report["time/training_s"]
    return max(since_s, told_s)


def last_end_s(ledger: Ledger, since_s: float = 0.0) -> float | None:
    """When the last trained trial ended (seconds since 1970); None if none has since `since_s`."""
    ended = (record.ended_s for record in ledger.records.values() if record.ended_s and record.reports)
    return max((ended_s for ended_s in ended if ended_s >= since_s), default=None)


def training_share(ledger: Ledger, place_s: float) -> float:
    """The share of the places' time, from first step to last end, spent in training and validation steps.

    Each trial in a lane is charged its share of the place's time. `place_s` is that time summed over all places, whose
    number may differ between sessions.
    """
    trained_s = sum(record.training_s for record in ledger.records.values())
    return trained_s / place_s if place_s > 0 else 0.0
