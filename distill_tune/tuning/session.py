"""One session of a search: the work between the claim to its folder and its summary."""

from __future__ import annotations

import time
from typing import Any

from distill_tune.export.result_folder import BASELINE, TENSORBOARD
from distill_tune.export.student_folder import BEST
from distill_tune.tuning.confirm_phase import ConfirmPhase
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.interrupts import Interrupt
from distill_tune.tuning.planning.time_budget import Times
from distill_tune.tuning.search_context import SearchContext
from distill_tune.tuning.search_phase import SearchPhase, claim_baseline
from distill_tune.tuning.showing.display import Reporter
from distill_tune.tuning.showing.tensorboard import TensorBoardWatcher
from distill_tune.tuning.state.logbook import Entry
from distill_tune.tuning.state.plan import num_searches
from distill_tune.tuning.state.records import Status
from distill_tune.tuning.verdict import summary
from distill_tune.tuning.verdict.clock import Clock, searched_s
from distill_tune.tuning.verdict.confirmation import Confirmation
from distill_tune.tuning.verdict.front import front_rows
from distill_tune.tuning.verdict.remarks import (
    failures_in_words,
    kept_in_part_in_words,
    left_out_in_words,
    not_exported_in_words,
    not_finite_in_words,
    other_beginnings_in_words,
    weak_teacher_in_words,
)


class Session:
    """Search, confirmation and examination in a claimed folder, resuming any earlier session."""

    def __init__(self, space_name: str, reporter: Reporter, interrupt: Interrupt, clock: Clock, context: SearchContext):
        """`space_name` is the space's name for display; `clock` records the time of each phase."""
        self.space_name, self.reporter, self.interrupt, self.clock = space_name, reporter, interrupt, clock
        self.context, self.claim = context, context.claim
        self.space, self.config = context.fitted.space, context.fitted.space.config
        self.times = Times.of(self.config.search, num_searches(self.config.confirm))
        self.main = SearchPhase(context.claim, context.fitted, self._budget(), context.places, reporter)
        self.ledger = self.main.ledger
        self.baseline_search: SearchPhase | None = None
        """The search without a teacher, if there is one and it has begun."""
        self.confirming = ConfirmPhase(context, self.times, self.main, reporter, interrupt)

    def _budget(self) -> Budget:
        spent_s = self.claim.history.spent_s
        return Budget.of(self.config.search, time_s=self.times.search_s, interrupt=self.interrupt, spent_s=spent_s)

    def work(self) -> dict[str, Any]:
        """Do all that is left to do; returns the summary, without `effort`.

        Raises:
            DistillTuneError: the result folder cannot be written, or the confirmation could not be finished.
        """
        try:
            return self._in_order()
        except KeyboardInterrupt:  # the second one: running trials are left as they are
            self.interrupt.requested = True
            self.main.leave_the_rest()
            return self._interrupted()
        finally:
            self.ledger.close()  # the panel hides the cursor until it is closed

    @property
    def has_failures(self) -> bool:
        """Whether any training run has failed."""
        ledgers = [self.ledger, self.confirming.ledger, *([s.ledger] if (s := self.baseline_search) else [])]
        return any(ledger.count(Status.FAILED) for ledger in ledgers)

    def effort(self) -> dict[str, Any]:
        """The summary's account of what the search cost, and why it ended."""
        main, baseline = self.main, self.baseline_search
        ended_by = main.ended_by or (Reason.USER if self.interrupt.requested else main.budget.ended_by)
        places, history = self.context.places, self.claim.history
        place_s = history.place_s + places * (self.clock.search_s - history.search_s)
        spent = summary.effort(self.ledger, self.clock, places, main.lanes, main.judge.rungs, ended_by, place_s)
        if baseline is None:
            return spent
        return spent | {
            "baseline_search": summary.baseline_effort(baseline.ledger, baseline.ended_by or baseline.budget.ended_by)
        }

    def _in_order(self) -> dict[str, Any]:
        self._search()
        if self.main.ended_by is Reason.FAILURES:  # although a running trial may have finished an epoch since
            return self._failed()
        if not self.interrupt.requested and self.config.confirm.baseline_search and self.ledger.ranked():
            self._search_baseline()
        if self.interrupt.requested:
            return self._interrupted()
        confirmation = self._confirm()
        self.ledger.close()  # nothing more is trained, so the panel's clock must stop
        if self.interrupt.requested:
            return self._interrupted()
        return self._outcome(confirmation)

    def _search(self) -> None:
        tensorboard = TensorBoardWatcher(
            self.claim.folder / TENSORBOARD, self.space, self.ledger.objective, self.context.places
        )
        began_s, earlier_s = time.monotonic(), self.claim.history.search_s
        try:
            self.main.run(self.context.preparation.prepared, self.context.files, tensorboard)
        finally:
            self.clock.searched(self.ledger, self.context.prepared_s, earlier_s, time.monotonic() - began_s)

    def _search_baseline(self) -> None:
        """Search the same space without a teacher, with as many trials and as much time."""
        since_s, began_s, trained = time.time(), time.monotonic(), self.ledger.num_feasible
        claim, fitted = claim_baseline(self.claim, self.context.fitted.without_teacher(), trained)
        if lost := claim.history.loss:
            self.reporter.tell(lost)
        before, search = self.claim.history, self.config.search
        ended_with = before.ended_with if before.ended_by == Reason.TIME else None  # it may have changed since
        times = Times.of(search, num_searches(self.config.confirm), ended_with)
        budget = Budget(trained, times.search_s, search.epochs, interrupt=self.interrupt, spent_s=claim.history.spent_s)
        self.baseline_search = baseline = SearchPhase(
            claim, fitted, budget, min(self.context.places, trained), self.reporter
        )
        tensorboard = TensorBoardWatcher(
            self.claim.folder / TENSORBOARD / BASELINE,
            baseline.space,
            self.ledger.objective,
            baseline.places,
            is_baseline=True,
        )
        self.reporter.say("Searching", "the same space without a teacher")
        try:
            baseline.run(self.context.preparation.prepared, self.context.files, tensorboard, "Without a teacher")
        except KeyboardInterrupt:  # as in `work`, while the logbook is still open
            self.interrupt.requested = True
            baseline.leave_the_rest()
            raise
        finally:
            baseline.ledger.close()
            claim.logbook.release()
            took_s, earlier_s = time.monotonic() - began_s, claim.history.search_s
            self.clock.baseline_search_s = searched_s(baseline.ledger, since_s, earlier_s, took_s)
        self.reporter.tell(*other_beginnings_in_words(self.main.learned, baseline.learned))

    def _confirm(self) -> Confirmation | None:
        """Train the best again, then the winner's baselines; None if there is nothing to confirm."""
        began_s = time.monotonic()
        try:
            return self.confirming.run(self.baseline_search)
        finally:
            self.clock.confirm_s = time.monotonic() - began_s

    def _outcome(self, confirmation: Confirmation | None) -> dict[str, Any]:
        if confirmation is None:
            return self._failed()
        from distill_tune.tuning.verdict.outcome import complete  # here: importing SciPy would delay the trials

        self.reporter.tell(*failures_in_words(confirmation), *left_out_in_words(confirmation))
        began_s = time.monotonic()
        self.interrupt.last_step = "The students are being examined"
        self.claim.logbook.write(Entry.TEST_OPENED)
        self.claim.history.tests_opened += 1
        head = {**self._head, **self._front(confirmation)}
        best = self.claim.folder / BEST
        found = complete(head, confirmation, self.context.preparation, self.context.fitted.limits, self.ledger, best)
        self.reporter.tell(*not_finite_in_words(found), *weak_teacher_in_words(found), *kept_in_part_in_words(found))
        self.reporter.tell(*not_exported_in_words(found))
        self.clock.export_s = time.monotonic() - began_s
        return found

    def _failed(self) -> dict[str, Any]:
        ledger = self.confirming.ledger if self.confirming.ledger.records else self.ledger
        messages = (record.message for record in ledger.with_status(Status.FAILED))
        assert self.main.conductor is not None
        first = next(messages, self.main.conductor.why_exhausted or "no trial came to its end in two seeds")
        what = "no student could be confirmed" if self.confirming.ledger.records else "no trial could be used"
        return {**self._head, **summary.failed(f"{what}; the first said: {first}")}

    def _interrupted(self) -> dict[str, Any]:
        return {**self._head, **summary.interrupted(self.ledger, self.space), **self._front()}

    def _front(self, confirmation: Confirmation | None = None) -> dict[str, Any]:
        if len(self.ledger.objectives) == 1:
            return {}
        return {"front": front_rows(self.ledger, self.space, confirmation.candidates if confirmation else [])}

    @property
    def _head(self) -> dict[str, Any]:
        history = self.claim.history  # as it was before this session
        head = {"name": self.claim.folder.name, "space": self.space_name, "sessions": history.sessions + 1}
        return {**head, "test_opened": history.tests_opened}
