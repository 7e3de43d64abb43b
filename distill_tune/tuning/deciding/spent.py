"""What a search has spent of its budget, and since when nothing has been better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from distill_tune.tuning.state.records import Report, Status, TrialRecord


@dataclass
class Spent:
    """What all trials together have spent and reached."""

    epochs: int = 0
    best: float = -inf
    """The best score that any epoch had, by the first objective; larger is better."""
    ended_since_better: int = 0
    """Trials that have ended or paused for the first time since the epoch that was the best."""
    _better_s: float = -inf
    """When the search heard of that epoch, in seconds since 1970; of equal ones the first. Before it all ends count."""

    def reach(self, record: TrialRecord, report: Report, scores: Sequence[float]) -> None:
        """An epoch had these scores, of which the first counts where all are finite."""
        if not all(map(isfinite, scores)):
            return
        score, epoch = scores[0], int(report["epoch"])
        heard_s = record.heard_s.get(epoch, report.get("time/began_s", 0.0))  # of the driver, as ends are
        if score > self.best:
            self.best, self._better_s, self.ended_since_better = score, heard_s, 0
        elif score == self.best:
            self._better_s = min(self._better_s, heard_s)

    def end(self, record: TrialRecord, status: Status) -> None:
        """A trial ends or pauses: it counts once, however often it does, and where it is interrupted it does not."""
        self.ended_since_better += record.paused_s is None and status is not Status.INTERRUPTED

    def take_up(self, records: Sequence[TrialRecord]) -> None:
        """All trials of earlier sessions, whose scores are known: they were reached in another order than theirs."""
        self.epochs = sum(record.epochs for record in records)
        ends_s = [_end_of(record) for record in records]
        self.ended_since_better = sum(end_s is not None and end_s > self._better_s for end_s in ends_s)


def _end_of(record: TrialRecord) -> float | None:
    """When it came to a first end; of what was not allowed to train on, when it had paused before that, if it had."""
    if record.status is Status.INFEASIBLE:
        return None
    return record.paused_s if record.status is Status.INTERRUPTED else record.first_end_s
