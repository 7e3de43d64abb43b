"""The ledger: one record a trial, and whoever wants to watch it grow.

Everything that a search shows or leaves behind about its trials (display, TensorBoard, trials.parquet, summary.json) is
read from these records, so they can never disagree.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from distill_tune.errors import one_line
from distill_tune.tuning.state.records import (
    Report,
    Status,
    TrialRecord,
    merit_of,
    scores_of,
    sign_of,
)


class Watcher:
    """Someone who is told what happens to trials; every method does nothing unless overridden."""

    is_essential = False
    """Whether the search must end when this one can no longer write its files."""

    def trial_known(self, record: TrialRecord) -> None:
        """A trial that had ended or paused before this search was taken up again."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial is about to train."""

    def trial_reported(self, record: TrialRecord) -> None:
        """A trial has finished an epoch; `record.last` is its report."""

    def trial_paused(self, record: TrialRecord) -> None:
        """A trial waits at a rung: it may be started again, and will be ended."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial has ended; `record.status` says how. Infeasible trials end without having started."""

    def close(self) -> None:
        """The search is over, however it ended."""


class Ledger:
    """All records of a search, in the order in which trials were proposed."""

    def __init__(
        self,
        objective: str = "val/accuracy",
        watchers: Iterable[Watcher] = (),
        say: Callable[[str], None] = lambda line: None,
        further: Sequence[str] = (),
    ):
        """`say` hears of a watcher that is given up; `further` are the objectives after the first."""
        self.objective = objective
        self.objectives = (objective, *further)
        self.sign = sign_of(objective)
        self.watchers = list(watchers)
        self.records: dict[str, TrialRecord] = {}
        self.say = say
        self._counts: Counter[Status] = Counter()

    def know(self, record: TrialRecord) -> None:
        """A trial that had ended or paused in an earlier session."""
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_known(record))

    def start(self, record: TrialRecord) -> None:
        """A trial is about to train, or to train on."""
        self._leave(record)
        record.begin()
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_started(record))

    def report(self, trial_id: str, report: Report, is_rung: bool = False) -> None:
        """A trial has finished an epoch, and with it perhaps a rung."""
        record = self.records[trial_id]
        record.reach(report, is_rung, time.time())
        self._tell(lambda watcher: watcher.trial_reported(record))

    def pause(self, record: TrialRecord) -> None:
        """A trial waits at a rung."""
        self._leave(record)
        record.pause(time.time())
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_paused(record))

    def end(self, record: TrialRecord, status: Status, message: str = "") -> None:
        """A trial has ended (or was found infeasible and never started)."""
        self._leave(record)
        is_paused = record.status is Status.PAUSED  # then nobody has been at work on it since
        record.end(status, message, record.ended_s if is_paused else time.time())
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_ended(record))

    def _enter(self, record: TrialRecord) -> None:
        self.records[record.trial_id] = record
        self._counts[record.status] += 1

    def _leave(self, record: TrialRecord) -> None:
        if record.trial_id in self.records:
            self._counts[record.status] -= 1

    def count(self, *statuses: Status) -> int:
        """How many trials stand so; without arguments, all."""
        return sum(self._counts[status] for status in statuses or Status)

    @property
    def num_feasible(self) -> int:
        """Trials that count: all but the infeasible ones, which are never trained."""
        return self.count() - self.count(Status.INFEASIBLE)

    def with_status(self, status: Status) -> list[TrialRecord]:
        """The trials that stand so, in the order in which they came."""
        return [record for record in self.records.values() if record.status is status]

    def has_only_failures(self, least: int) -> bool:
        """Whether at least so many trials have failed, none has ended otherwise, and none at work has trained yet."""
        failed, ended = self.count(Status.FAILED), self.count() - self.count(Status.RUNNING, Status.INFEASIBLE)
        if not least <= failed == ended:
            return False
        return not any(record.status is Status.RUNNING and record.reports for record in self.records.values())

    def scores(self, record: TrialRecord, report: Report) -> tuple[float, ...]:
        """As `scores_of`, by this search's objectives."""
        return scores_of(record, report, self.objectives)

    def ranked(self) -> list[TrialRecord]:
        """Trained, not failed trials, the best first: by the first objective after the last epoch, then by val/loss."""
        able = [record for record in self.records.values() if record.is_usable]
        return sorted(able, key=lambda record: merit_of(record.last, self.objective), reverse=True)

    @property
    def incumbent(self) -> TrialRecord | None:
        """The best trial so far."""
        return next(iter(self.ranked()), None)

    def close(self) -> None:
        """Tell the watchers that the search is over."""
        self._tell(lambda watcher: watcher.close())

    def _tell(self, what: Callable[[Watcher], None]) -> None:
        """Tell every watcher; one that cannot write is given up, for what is shown must not end what is searched."""
        for watcher in list(self.watchers):
            try:
                what(watcher)
            except OSError as error:
                if watcher.is_essential:
                    raise
                self.watchers.remove(watcher)
                self.say(f"warning: {type(watcher).__name__} is given up: {one_line(error)}")
