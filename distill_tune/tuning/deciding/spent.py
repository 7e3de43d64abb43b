"""How much of its budget a search has spent, and how long ago it last improved."""

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
    """The best score of any epoch, by the first objective; larger is better."""
    ended_since_better: int = 0
    """Trials that have ended or paused for the first time since the best epoch."""
    _better_s: float = -inf
    """When the driver heard of the best epoch (the first of equal ones), in seconds since 1970; before there is one,
    every end counts."""

    def reach(self, record: TrialRecord, report: Report, scores: Sequence[float]) -> None:
        """Record the scores of an epoch; the first one counts, provided that all are finite."""
        if not all(map(isfinite, scores)):
            return
        score, epoch = scores[0], int(report["epoch"])
        heard_s = record.heard_s.get(epoch, report.get("time/began_s", 0.0))  # by the driver's clock, as ends are
        if score > self.best:
            self.best, self._better_s, self.ended_since_better = score, heard_s, 0
        elif score == self.best:
            self._better_s = min(self._better_s, heard_s)

    def end(self, record: TrialRecord, status: Status) -> None:
        """Record that a trial ends or pauses: it counts only the first time, and not at all if interrupted."""
        self.ended_since_better += record.paused_s is None and status is not Status.INTERRUPTED

    def take_up(self, records: Sequence[TrialRecord]) -> None:
        """Count the trials of earlier sessions, whose scores `reach` has seen, though not in their original order."""
        self.epochs = sum(record.epochs for record in records)
        ends_s = [_end_of(record) for record in records]
        self.ended_since_better = sum(end_s is not None and end_s > self._better_s for end_s in ends_s)


def _end_of(record: TrialRecord) -> float | None:
    """When a trial first ended or paused; for an interrupted one, when it paused before that, if it did."""
    if record.status is Status.INFEASIBLE:
        return None
    return record.paused_s if record.status is Status.INTERRUPTED else record.first_end_s
