"""The conductor decides which trial starts, which trains on, and how each has ended.

All of a search's decisions, free of Ray: study, judge, ledger and budget meet here and nowhere else. `tune_adapters.py`
puts it behind Ray Tune's searcher and scheduler. A decision is told to the study first and then entered into the
ledger: only the ledger's entry commits it (`logbook.py`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf

from distill_tune.config import Values
from distill_tune.errors import DistillTuneError, one_line
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.decisions import Decisions
from distill_tune.tuning.deciding.proposing import Proposer
from distill_tune.tuning.deciding.spent import Spent
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.proposals.study import Proposal, Study
from distill_tune.tuning.schedulers import Judge
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord, as_they_came

_FAILURES_THAT_END = 5
"""This many failed trials before any other outcome are no accident: the search ends and shows the first cause."""
_DIVERGED = "an objective was not finite"


@dataclass
class Conductor:
    """Makes every decision of a search; identifies trials by name."""

    study: Study
    judge: Judge
    ledger: Ledger
    budget: Budget
    limits: Limits
    concurrency: int
    first_settings: deque[Values] = field(default_factory=deque)
    """Settings to try first."""
    smallest: Values = field(default_factory=dict)
    """The sampled values of the student that is known to be within the limits."""
    why: str = ""
    """Details of the reason the search ended for, if there are any."""
    why_exhausted: str = ""
    """Why no further trial can be proposed; empty while one can."""
    _waiting: deque[Proposal] = field(default_factory=deque)
    """Trials of an earlier session to resume."""
    _spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self._proposer = Proposer(self.study, self.ledger, self.budget, self.limits, self.first_settings, self.smallest)
        self._decisions = Decisions(self.judge, self.ledger, self._spent, self._proposer.openers)

    def take_up(self, records: Sequence[TrialRecord]) -> None:
        """Resume an earlier session: restore everything known, and continue the trials that were running."""
        self._proposer.take_up(records)
        for record, report in as_they_came(records):
            self._decisions.decide(record, report)
        was_at_work = [record for record in records if record.status is Status.RUNNING]
        for record in records:
            self._know(record)
        for record in was_at_work:
            self._go_on_with(record)
        self._spent.take_up(records)
        self._note()

    def _know(self, record: TrialRecord) -> None:
        if record.status is Status.RUNNING:
            self.ledger.start(record)
            return
        self.ledger.know(record)
        if record.status is Status.PAUSED:
            self.judge.pause(record.trial_id, record.epochs)
        elif record.status in (Status.STOPPED, Status.INTERRUPTED) and self.judge.pauses:  # its checkpoint is gone
            self.judge.drop(record.trial_id, record.epochs)

    def _go_on_with(self, record: TrialRecord) -> None:
        proposal = self.study.take_up(record)
        if record.reports:  # decided anew, since it may have been promoted from its last rung
            self._decisions.decide(record, record.last)
        if self._decisions.goes_on(record) and record.epochs < self.judge.max_epochs:
            self._waiting.append(proposal)
        else:  # it had finished, but that was never recorded
            self.ended(record.trial_id, None)

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be proposed."""
        if self.budget.ended_by is not None:
            return True
        if self._waiting or not self._all_are_proposed:
            return False
        return not self.judge.pauses or (not self._at_work and self._next_to_promote() is None)

    @property
    def _all_are_proposed(self) -> bool:
        return bool(self.why_exhausted) or self.ledger.num_feasible >= self.budget.trials

    @property
    def _at_work(self) -> int:
        return self.ledger.count(Status.RUNNING) - len(self._waiting)

    def _next_to_promote(self) -> TrialRecord | None:
        is_last = self._all_are_proposed and not self._at_work and not self.ledger.count(Status.COMPLETED)
        name = self.judge.next_to_promote(is_last)
        return None if name is None else self.ledger.records[name]

    def propose(self) -> Proposal | None:
        """The next trial to start or resume; None when it must wait for a place or for other trials.

        Call only while not `is_over`.
        """
        if self._at_work >= self.concurrency:
            return None
        if self._waiting:
            return self._waiting.popleft()
        try:
            if (record := self._next_to_promote()) is not None:
                return self._promote(record)
            if self._all_are_proposed:  # running trials may yet make room for a paused one
                return None
            if (found := self._proposer.next()) is None:
                return None
            self.ledger.start(found[1])
        except OSError as error:
            self._end(Reason.STORAGE, one_line(error))
        except DistillTuneError as error:  # finished and running trials still count
            self.why_exhausted = str(error)
        else:
            return found[0]
        return None

    def _promote(self, record: TrialRecord) -> Proposal:
        self._decisions.promote(record)
        proposal = self.study.take_up(record)
        self.ledger.start(record)
        return proposal

    def take_reports(self, trial_id: str, reports: Sequence[Report]) -> bool:
        """Record the reports of a trial's latest epochs and decide on them; returns whether it trains on."""
        record = self.ledger.records[trial_id]
        fresh = [report for report in reports if report["epoch"] > record.epochs]  # a retried trial repeats some
        if fresh:
            self.budget.begin(fresh[0].get("time/began_s", inf))
        for report in fresh:
            self._guarded(partial(self._enter, trial_id, report))
            if not self._decisions.decide(record, report):
                break  # later epochs, of a checkpoint ahead of the logbook, are reported again if it goes on
        self._note()
        return self._decisions.goes_on(record) and self.budget.ended_by is None

    def _enter(self, trial_id: str, report: Report) -> None:
        self._spent.epochs += 1
        self.ledger.report(trial_id, report, self.judge.is_rung(int(report["epoch"])))

    def ended(self, trial_id: str, failure: str | None) -> None:
        """Handle the end of a trial: it finished, `take_reports` stopped it, or it failed."""
        record = self.ledger.records[trial_id]
        status = self._decisions.ending(record, failure, self.budget.ended_by is not None)
        if status is Status.FAILED and not record.reports:  # the clock runs, though there is no step yet
            self.budget.begin(record.started_s)
        if status is Status.STOPPED and self.judge.pauses and self._goes_on_later:
            self._guarded(lambda: self._pause(record))
        else:
            record.goes_on_later = status is Status.INTERRUPTED and self._goes_on_later
            self._spent.end(record, status)
            message = failure or (_DIVERGED if status is Status.FAILED else "")
            self._guarded(lambda: self._tell(record, status, message))
        if self.ledger.has_only_failures(_FAILURES_THAT_END):
            self._end(Reason.FAILURES, self.ledger.with_status(Status.FAILED)[0].message or _DIVERGED)
        self._note()

    def _tell(self, record: TrialRecord, status: Status, message: str) -> None:
        if not record.goes_on_later:
            self.study.tell(record, status)
        self.ledger.end(record, status, message)

    def _pause(self, record: TrialRecord) -> None:
        self._spent.end(record, Status.PAUSED)
        self.study.note(record)
        self.ledger.pause(record)
        self.judge.pause(record.trial_id, record.epochs)

    @property
    def _goes_on_later(self) -> bool:
        """Whether a trial that is cut off now may be resumed, in this session or another."""
        return self.budget.ended_by in (None, Reason.USER, Reason.STORAGE)

    def end_the_rest(self) -> None:
        """End running trials as interrupted and paused ones as stopped; they will report nothing more.

        A search that will be resumed leaves its paused trials as they are.
        """
        for record in self.ledger.with_status(Status.RUNNING):
            self.ended(record.trial_id, None)
        if self.budget.ended_by in (Reason.USER, Reason.STORAGE):
            return
        for record in self.ledger.with_status(Status.PAUSED):
            self.study.take_up(record)
            self._guarded(partial(self._tell, record, Status.STOPPED, ""))

    def out_of_room(self, why: str) -> None:
        """End the search until it is resumed: a node cannot have its files."""
        self._end(Reason.STORAGE, why.rstrip("."))

    def leave_the_rest(self) -> None:
        """Leave running trials as the logbook has them.

        A second interrupt may have come between an epoch and its entry, so nothing more is decided.
        """
        for record in self.ledger.with_status(Status.RUNNING):
            record.goes_on_later = True
            self.ledger.end(record, Status.INTERRUPTED)

    def _note(self) -> None:
        self.budget.note(self._spent.epochs, self._spent.best, self._spent.ended_since_better)

    def _guarded(self, write: Callable[[], object]) -> None:
        """Write to the folder; if that fails the search ends, and what is already written stays valid."""
        try:
            write()
        except OSError as error:
            self._end(Reason.STORAGE, one_line(error))

    def _end(self, reason: Reason, why: str) -> None:
        self.why = self.why or why
        self.budget.end(reason)
