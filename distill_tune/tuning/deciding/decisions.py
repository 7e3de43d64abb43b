"""Whether each trial goes on: decided once per epoch by the judge, and read from then on.

A judge that pauses may answer otherwise when it is asked again, once others have arrived at the rung. So how a trial
has ended follows from the decision after its last epoch, and the judge is not asked for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from distill_tune.tuning.deciding.spent import Spent
from distill_tune.tuning.schedulers import Judge
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Report, Status, TrialRecord, tie_break_of


@dataclass
class Decisions:
    """The latest decision on each trial."""

    judge: Judge
    ledger: Ledger
    spent: Spent
    openers: set[str]
    """Trials that go on whatever the judge decides, unless they diverge."""
    _latest: dict[str, bool] = field(default_factory=dict)

    def decide(self, record: TrialRecord, report: Report) -> bool:
        """Show the judge and `spent` an epoch of a trial; returns whether it goes on."""
        scores, epoch = self.ledger.scores(record, report), int(report["epoch"])
        passed = self.judge.goes_on(record.trial_id, epoch, *scores, tie_break=tie_break_of(report))
        self.spent.reach(record, report, scores)
        is_let_on = record.trial_id in self.openers and all(map(isfinite, scores))
        self._latest[record.trial_id] = passed or is_let_on
        return self._latest[record.trial_id]

    def promote(self, record: TrialRecord) -> None:
        """Let a paused trial go on."""
        self.judge.promote(record.trial_id, record.epochs)
        self._latest[record.trial_id] = True

    def goes_on(self, record: TrialRecord) -> bool:
        """Whether the trial goes on, as last decided; one that has finished no epoch does."""
        return self._latest.get(record.trial_id, True)

    def ending(self, record: TrialRecord, failure: str | None, is_cut_off: bool) -> Status:
        """How a trial that trains no longer has ended; `is_cut_off` says whether the search's budget has ended."""
        if failure is not None:
            return Status.FAILED
        if not record.reports:
            return Status.INTERRUPTED if is_cut_off else Status.FAILED
        if not all(map(isfinite, self.ledger.scores(record, record.last))):
            return Status.FAILED
        if record.epochs >= self.judge.max_epochs:
            return Status.COMPLETED
        return Status.INTERRUPTED if is_cut_off and self.goes_on(record) else Status.STOPPED
