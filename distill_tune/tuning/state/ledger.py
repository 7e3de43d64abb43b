"""The ledger: one record per trial, and the watchers that follow its changes.

Everything that a search shows or leaves behind about its trials (display, TensorBoard, trials.parquet, summary.json) is
read from these records, so these outputs can never disagree.
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
    """Is notified of what happens to trials; every method does nothing unless overridden."""

    is_essential = False
    """Whether the search must end if this watcher can no longer write its files."""

    def trial_known(self, record: TrialRecord) -> None:
        """A trial had ended or paused before this search was resumed."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial is about to train."""

    def trial_reported(self, record: TrialRecord) -> None:
        """A trial has finished an epoch; `record.last` is its report."""

    def trial_paused(self, record: TrialRecord) -> None:
        """A trial waits at a rung: it may be started again, and will be ended eventually."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial has ended; `record.status` says how. Infeasible trials end without having started."""

    def close(self) -> None:
        """The search is over, for whatever reason."""


class Ledger:
    """All records of a search, in order of proposal."""

    def __init__(
        self,
        objective: str = "val/accuracy",
        watchers: Iterable[Watcher] = (),
        say: Callable[[str], None] = lambda line: None,
        further: Sequence[str] = (),
    ):
        """`say` receives a message for each watcher that is dropped; `further` are the objectives after the first."""
        self.objective = objective
        self.objectives = (objective, *further)
        self.sign = sign_of(objective)
        self.watchers = list(watchers)
        self.records: dict[str, TrialRecord] = {}
        self.say = say
        self._counts: Counter[Status] = Counter()

    def know(self, record: TrialRecord) -> None:
        """Add a trial that ended or paused in an earlier session."""
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_known(record))

    def start(self, record: TrialRecord) -> None:
        """Record that a trial starts or continues training."""
        self._leave(record)
        record.begin()
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_started(record))

    def report(self, trial_id: str, report: Report, is_rung: bool = False) -> None:
        """Record a finished epoch, which may also complete a rung."""
        record = self.records[trial_id]
        record.reach(report, is_rung, time.time())
        self._tell(lambda watcher: watcher.trial_reported(record))

    def pause(self, record: TrialRecord) -> None:
        """Record that a trial waits at a rung."""
        self._leave(record)
        record.pause(time.time())
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_paused(record))

    def end(self, record: TrialRecord, status: Status, message: str = "") -> None:
        """Record that a trial has ended (or was found infeasible and never started)."""
        self._leave(record)
        is_paused = record.status is Status.PAUSED  # then nothing has worked on it since
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
        """Number of trials with these statuses; without arguments, of all."""
        return sum(self._counts[status] for status in statuses or Status)

    @property
    def num_feasible(self) -> int:
        """Number of trials that count: all but the infeasible ones, which are never trained."""
        return self.count() - self.count(Status.INFEASIBLE)

    def with_status(self, status: Status) -> list[TrialRecord]:
        """The trials with this status, in order of proposal."""
        return [record for record in self.records.values() if record.status is status]

    def has_only_failures(self, least: int) -> bool:
        """Whether at least `least` trials failed, none ended otherwise, and no running one has finished an epoch."""
        failed, ended = self.count(Status.FAILED), self.count() - self.count(Status.RUNNING, Status.INFEASIBLE)
        if not least <= failed == ended:
            return False
        return not any(record.status is Status.RUNNING and record.reports for record in self.records.values())

    def scores(self, record: TrialRecord, report: Report) -> tuple[float, ...]:
        """`scores_of` for this search's objectives."""
        return scores_of(record, report, self.objectives)

    def ranked(self) -> list[TrialRecord]:
        """Usable trials, best first: by the first objective after the last epoch, then by val/loss."""
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
        """Notify every watcher; drop one that cannot write, because a display failure must not end the search."""
        for watcher in list(self.watchers):
            try:
                what(watcher)
            except OSError as error:
                if watcher.is_essential:
                    raise
                self.watchers.remove(watcher)
                self.say(f"warning: {type(watcher).__name__} is given up: {one_line(error)}")
