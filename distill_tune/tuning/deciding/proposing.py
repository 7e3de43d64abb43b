"""New trials: the study is asked until a student is within the limits.

A student that is too large or cannot be built is refused here, and so are values that no run may combine: refusals
cost no training and never reach Tune.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, takewhile

from distill_tune.config import Values
from distill_tune.config.leaves import FAMILY
from distill_tune.config.messages import dotted
from distill_tune.config.searching import LATENCY
from distill_tune.errors import ConfigError, DistillTuneError
from distill_tune.tuning.deciding.budget import Budget
from distill_tune.tuning.planning.limits import Excess, Limits
from distill_tune.tuning.proposals.study import Proposal, Study
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord

_REFUSALS = 50
"""After this many students over the limits in a row, the smallest of the space is proposed instead."""


@dataclass
class Proposer:
    """Proposes new trials."""

    study: Study
    ledger: Ledger
    budget: Budget
    limits: Limits
    first_settings: deque[Values]
    """Settings to try first."""
    smallest: Values
    """The sampled values of the student that is known to be within the limits."""
    openers: set[str] = field(default_factory=set)
    """The first trial of each student family among the first settings. They train to the end whatever the rungs
    say: this gives an early result to beat, and families learn at different paces, so that a low rung would reject the
    slow ones unfairly."""
    _opened: set[object] = field(default_factory=set)
    """The families of the openers."""
    _refused: int = 0
    """Students that an earlier session refused after its last trial."""

    def take_up(self, records: Sequence[TrialRecord]) -> None:
        """Resume after the trials of an earlier session; each has used up one of the first settings."""
        for record in records[: len(self.first_settings)]:
            self.first_settings.popleft()
            self._note_opener(record)
        last = takewhile(lambda record: record.status is Status.INFEASIBLE, reversed(records))
        self._refused = sum(1 for _ in last) % (2 * _REFUSALS)  # all refused: that ended the search

    def next(self) -> tuple[Proposal, TrialRecord] | None:
        """The next proposal and its record; those refused before it are entered in the ledger.

        None if the search ends meanwhile: a sampler that tries each combination once is asked until then.

        Raises:
            DistillTuneError: not even the smallest student can be used, or there is nothing left to propose.
        """
        before, self._refused = self._refused, 0
        for refusals in count(before) if self.study.tries_each_once else range(before, 2 * _REFUSALS):
            if refusals and self.budget.ended_by is not None:
                return None
            is_given = bool(self.first_settings)
            proposal = self.study.ask(self._fixed(refusals))
            try:
                excess = self.limits.excess(proposal.config)
            except ConfigError as error:  # this combination breaks a rule or a custom network; others need not
                excess = Excess(1.0, "", str(error))
            if excess.share <= 0:
                record = self._record(proposal, is_timed=self._is_latency_asked(proposal))
                if is_given:
                    self._note_opener(record)
                return proposal, record
            self._refuse(proposal, excess)
        raise DistillTuneError(
            f"limits: none of {2 * _REFUSALS} students proposed in a row can be used, the last: {excess.why}; loosen "
            "the limits, or widen the student's ranges."
        )

    def _fixed(self, refusals: int) -> Values | None:
        """The values that the next proposal must have; None if the sampler is free to choose."""
        if self.first_settings:
            return self.first_settings.popleft()
        return self.smallest if refusals >= _REFUSALS and not self.study.tries_each_once else None

    def _note_opener(self, record: TrialRecord) -> None:
        family = record.values.get(dotted(FAMILY))
        if record.status is not Status.INFEASIBLE and family not in self._opened:
            self._opened.add(family)
            self.openers.add(record.trial_id)

    def _refuse(self, proposal: Proposal, excess: Excess) -> None:
        record = self._record(proposal, is_timed=excess.limit == "max_latency_ms")
        self.study.tell(record, Status.INFEASIBLE, excess.share)
        self.ledger.end(record, Status.INFEASIBLE, excess.why)

    def _is_latency_asked(self, proposal: Proposal) -> bool:
        return LATENCY in self.ledger.objectives or proposal.config.limits.max_latency_ms is not None

    def _record(self, proposal: Proposal, is_timed: bool) -> TrialRecord:
        record = TrialRecord(proposal.number, proposal.trial_id, proposal.values, proposal.trial_id)
        with suppress(ConfigError):  # a student that cannot be configured or built has no size
            cost = self.limits.cost(proposal.config)
            record.parameters, record.multiply_adds = cost.parameters, cost.multiply_adds
        if is_timed:
            record.latency_ms = self.limits.latency_ms(proposal.config)
        return record
