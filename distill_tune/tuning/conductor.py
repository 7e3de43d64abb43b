"""The conductor: which trial next, which trial on, and how each one ended.

All of a search's decisions, free of Ray: study, rungs, ledger and budget meet here and nowhere else. `tune_adapters.py`
puts it behind Ray Tune's searcher and scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite

from distill_tune.errors import ConfigError, DistillTuneError
from distill_tune.tuning.budget import Budget, Reason
from distill_tune.tuning.ledger import Ledger, Report, Status, TrialRecord
from distill_tune.tuning.limits import Limits
from distill_tune.tuning.rungs import Rungs
from distill_tune.tuning.study import Proposal, Study, propose_within_limits

_FAILURES_THAT_END = 5
"""So many failed trials before any other outcome are no accident: the search ends and shows the first cause."""


@dataclass
class Conductor:
    """Decides; knows every trial by its number."""

    study: Study
    rungs: Rungs
    ledger: Ledger
    budget: Budget
    limits: Limits
    concurrency: int
    exhausted: str = ""
    """Why no further student can be proposed; empty while one can."""

    @property
    def is_over(self) -> bool:
        """Whether no further trial will be proposed."""
        trained = self.ledger.count() - self.ledger.count(Status.INFEASIBLE)
        return trained >= self.budget.trials or bool(self.exhausted) or self.budget.ended_by is not None

    def propose(self) -> Proposal | None:
        """The next trial to train; None when it must wait for a place. Call only while not `is_over`."""
        if self.ledger.count(Status.RUNNING) >= self.concurrency:
            return None
        try:
            proposal = propose_within_limits(self.study, self.limits.excess, self._refuse)
        except DistillTuneError as error:  # what has been trained, and is being trained, is not lost for that
            self.exhausted = str(error)
            return None
        self.ledger.start(self._record(proposal))
        return proposal

    def goes_on(self, trial_id: str, reports: Sequence[Report]) -> bool:
        """Take the reports of a trial's latest epochs, and say whether it trains on."""
        known = self.ledger.records[trial_id].epochs
        fresh = [report for report in reports if report["epoch"] > known]  # a retried trial repeats some
        for report in fresh:
            self.ledger.report(trial_id, report, self.rungs.is_rung(int(report["epoch"])))
        scores = {int(report["epoch"]): self.ledger.sign * report[self.ledger.objective] for report in fresh}
        passed = [self.rungs.goes_on(trial_id, epoch, score) for epoch, score in scores.items()]
        return all(passed) and self.budget.ended_by is None

    def ended(self, trial_id: str, failure: str | None) -> None:
        """A trial has ended: by itself, by `goes_on`, or by a failure."""
        record = self.ledger.records[trial_id]
        self.ledger.end(record, self._status(record, failure), failure or "")
        self.study.tell(record, self.ledger.objective)
        if self._is_systematic():
            self.budget.end(Reason.FAILURES)

    def _status(self, record: TrialRecord, failure: str | None) -> Status:
        if failure is not None or not isfinite(record.last.get(self.ledger.objective, float("nan"))):
            return Status.FAILED
        if record.epochs >= self.rungs.max_epochs:
            return Status.COMPLETED
        return Status.STOPPED if self.budget.ended_by is None else Status.INTERRUPTED

    def _is_systematic(self) -> bool:
        failed = self.ledger.count(Status.FAILED)
        ended = self.ledger.count() - self.ledger.count(Status.RUNNING, Status.INFEASIBLE)
        if not _FAILURES_THAT_END <= failed == ended:
            return False
        return not any(r.status is Status.RUNNING and r.reports for r in self.ledger.records.values())

    def _refuse(self, proposal: Proposal, excess: float, why: str) -> None:
        record = self._record(proposal)
        self.ledger.end(record, Status.INFEASIBLE, why)
        self.study.tell(record, self.ledger.objective, excess)

    def _record(self, proposal: Proposal) -> TrialRecord:
        trial_id = f"{proposal.number:04d}"
        record = TrialRecord(proposal.number, trial_id, proposal.values, trial_id)
        with suppress(ConfigError):  # a student that cannot be built has no size
            cost = self.limits.cost(proposal.config)
            record.parameters, record.multiply_adds = cost.parameters, cost.multiply_adds
        return record
