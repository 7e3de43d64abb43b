"""The whole job after the command line, in one sitting: prepare, search, confirm, examine, export."""

from __future__ import annotations

import time
from collections import deque
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from rich.console import Console

from distill_tune.distillation.prepare import Preparation, announced_data, prepare
from distill_tune.errors import DistillTuneError
from distill_tune.export.result_folder import SHARED_CACHE, nothing_left_on_refusal, write_json
from distill_tune.export.trials_table import write_trials
from distill_tune.export.versions import versions
from distill_tune.tuning import cluster, display, summary
from distill_tune.tuning.agreement import rung_report, warning_of
from distill_tune.tuning.budget import SENTENCES, Budget, Reason
from distill_tune.tuning.claim import Claim
from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.confirmation import Confirmation, candidates_of, confirm, fresh_seeds
from distill_tune.tuning.fitting import Fitted, fit, known_to_fit
from distill_tune.tuning.interrupts import Interrupt, heard
from distill_tune.tuning.ledger import Ledger, Status
from distill_tune.tuning.logbook import JOURNAL, Logbook
from distill_tune.tuning.order import Order
from distill_tune.tuning.outcome import complete, failed, interrupted
from distill_tune.tuning.plan import Times, plan_confirmation
from distill_tune.tuning.progress import ProgressWatcher
from distill_tune.tuning.run import run_search
from distill_tune.tuning.seats import Seats
from distill_tune.tuning.study import Study
from distill_tune.tuning.tensorboard import TensorBoardWatcher
from distill_tune.tuning.trial import CheckpointSweeper, TrialContext
from distill_tune.tuning.warm_start import trials_of_others

_LITTLE_TO_DO = (Reason.FAILURES, Reason.STORAGE)
"""A search that ended so is not over: it may be taken up again when its cause is mended."""


@dataclass
class Job:
    """One sitting of a search: what was ordered, and what people see of it."""

    order: Order
    console: Console
    quiet: bool = False
    clock: summary.Clock = field(default_factory=summary.Clock)
    interrupt: Interrupt = field(default_factory=Interrupt)

    def run(self) -> dict[str, Any]:
        """Do it all; returns what was written to `summary.json`.

        Raises:
            InputError: something that the user can mend; nothing has been written.
            DistillTuneError: no trial could be used, or a phase could not be finished.
        """
        began_s = time.monotonic()
        with heard(self.interrupt), ExitStack() as stack:
            sitting = self._begin(stack)
            try:
                document = sitting.work()
            except KeyboardInterrupt:  # the second one: whatever was at work is left as it is
                document = sitting.ended_at_once()
            self.clock.total_s = time.monotonic() - began_s
            document |= {**sitting.effort(), "versions": versions()}
            write_json(self.order.folder / "summary.json", document)
            if document["status"] == "complete":
                sitting.claim.logbook.write("finished")
        if document["status"] == "failed":
            raise DistillTuneError(f"{document['message']}; see {self.order.folder / 'logs'}.")
        return document

    def _begin(self, stack: ExitStack) -> _Sitting:
        """Everything that can be refused, and then the claim to the folder."""
        began_s = time.monotonic()
        cluster.check_answers(self.order.address)
        if self.order.is_new:
            with nothing_left_on_refusal(self.order.folder.parent):
                fitted, preparation = self._prepared()
                self.clock.prepare_s, prepared_s = time.monotonic() - began_s, time.time()
                places = self._connect(stack, fitted)
                stack.enter_context(self.interrupt.in_order())
                claim = Claim.of_new(self.order.folder, fitted.space, self.order.command)
        else:
            claim = Claim.of_old(self.order.folder, self.order.command)
            fitted, preparation = self._known_preparation()
            self.clock.prepare_s, prepared_s = time.monotonic() - began_s, time.time()
            places = self._connect(stack, fitted)
            stack.enter_context(self.interrupt.in_order())
            self.order.enter(claim, fitted.space)
        stack.callback(claim.logbook.release)
        preparation = replace(preparation, prepared=claim.link(preparation.prepared))
        return _Sitting(self, claim, fitted, preparation, places, prepared_s)

    def _prepared(self) -> tuple[Fitted, Preparation]:
        self.say("Preparing", self.order.space_name)
        cache, space = self.order.folder.parent / SHARED_CACHE, self.order.space
        dataset = announced_data(space.config, cache, self.tell)
        fitted = fit(space, dataset, self.tell)
        return fitted, prepare(fitted.space, cache, self.tell, dataset)

    def _known_preparation(self) -> tuple[Fitted, Preparation]:
        self.say("Taking up", self.order.folder.name)
        preparation = prepare(self.order.space, self.order.folder / "cache", self.tell)
        return known_to_fit(self.order.space, preparation.dataset), preparation

    def _connect(self, stack: ExitStack, fitted: Fitted) -> int:
        """A cluster, and how many trials it has room for."""
        self.say("Starting", "Ray, and a worker for each place")
        resources = fitted.space.config.resources
        stack.enter_context(cluster.connected(self.order.address, resources))
        return cluster.concurrency(resources, fitted.space.config.search.trials)

    def tell(self, line: str) -> None:
        """A line of detail."""
        self.say("  ", line)

    def say(self, heading: str, detail: str = "") -> None:
        """A line that says what begins now."""
        if not self.quiet:
            display.say(self.console, heading, detail)


class _Sitting:
    """The work itself, from the claim to the document."""

    def __init__(
        self, job: Job, claim: Claim, fitted: Fitted, preparation: Preparation, places: int, prepared_s: float
    ):
        self.job, self.claim, self.fitted, self.preparation, self.places = job, claim, fitted, preparation, places
        self.prepared_s = prepared_s
        self.space, self.config = fitted.space, fitted.space.config
        search = self.config.search
        self.times = Times.of(search)
        self.ledger = Ledger(search.objectives[0], say=job.tell)
        self.judge = search.chosen("scheduler").judge(search)
        sign = self.ledger.sign
        self.budget = Budget(
            search.trials,
            self.times.search_s,
            search.epochs,
            sign * search.target if search.target is not None else float("inf"),
            search.patience,
            job.interrupt,
            claim.history.spent_s,
        )
        self.progress: ProgressWatcher | None = None
        self.conductor: Conductor | None = None

    def work(self) -> dict[str, Any]:
        """Search, confirm, examine, and say what came out."""
        try:
            self._search()
            if self.job.interrupt.requested:
                return self._interrupted()
            confirmation = self._confirm()
            if self.job.interrupt.requested:
                return self._interrupted()
            return self._outcome(confirmation)
        finally:
            self.ledger.close()  # the panel hides the cursor until it is closed

    def ended_at_once(self) -> dict[str, Any]:
        """What is known when the user would not wait."""
        self.job.interrupt.requested = True
        if self.conductor is not None:
            self.conductor.end_the_rest()
        self._write_trials()
        return self._interrupted()

    def effort(self) -> dict[str, Any]:
        """What the search has cost, and why it ended."""
        ended_by = Reason.USER if self.job.interrupt.requested else self.budget.ended_by
        return summary.effort(self.ledger, self.job.clock, self.places, self.judge.rungs, ended_by)

    def _search(self) -> None:
        folder, history, logbook = self.claim.folder, self.claim.history, self.claim.logbook
        self.ledger.watchers += self._watchers(logbook)
        study = Study(folder / JOURNAL, folder.name, self.space, self.ledger.sign > 0, history.study_bytes)
        logbook.study_bytes = lambda: study.num_bytes
        known_good = deque(self.config.search.start_with)
        self.conductor = Conductor(
            study,
            self.judge,
            self.ledger,
            self.budget,
            self.fitted.limits,
            self.places,
            known_good,
            self.fitted.smallest,
        )
        if not history.records:
            study.learn(trials_of_others(self.config.search.start_from, self.space))
        else:
            known_good.clear()
            self.conductor.take_up(list(history.records.values()))
        try:
            if history.ended_by is None:
                run_search(self.conductor, TrialContext(self.space, self.preparation.prepared, folder), self.job.tell)
        finally:
            self._write_trials()
            self.job.clock.searched(self.ledger, self.prepared_s, history.search_s)
        self._say_how_it_ended(self.conductor)

    def _say_how_it_ended(self, conductor: Conductor) -> None:
        if self.claim.history.ended_by is not None:
            self.budget.end(Reason(self.claim.history.ended_by))
            return
        ended_by = self.budget.ended_by
        assert ended_by is not None, "every search ends for a reason"
        why = conductor.exhausted or conductor.why
        if self.progress is not None:
            self.progress.close()
        if ended_by is not Reason.TRIALS:
            self.job.tell(f"the search ends: {SENTENCES[ended_by]}" + (f" ({why})" if why else ""))
        if ended_by is Reason.STORAGE:
            raise DistillTuneError(f"{self.claim.folder}: {why}; make room and go on with --resume.")
        if ended_by is not Reason.USER and ended_by not in _LITTLE_TO_DO:
            self.claim.logbook.write("searched", ended_by=str(ended_by))
            if warning := warning_of(rung_report(self.judge.rungs, self.ledger)):
                self.job.tell(warning)

    def _write_trials(self) -> None:
        rows = [summary.row_of(record) for record in self.ledger.records.values()]
        write_trials(self.claim.folder / "trials.parquet", rows)

    def _watchers(self, logbook: Logbook) -> list[Any]:
        folder = self.claim.folder
        tensorboard = TensorBoardWatcher(folder / "tensorboard", self.space, self.ledger.objective)
        watchers = [logbook, tensorboard, CheckpointSweeper(folder)]
        if not self.job.quiet:
            self.progress = ProgressWatcher(
                self.job.console,
                self.ledger.objective,
                self.budget.trials,
                lambda: self.budget.left_s,
                lambda: display.rung_views(self.judge.rungs, self.ledger.sign),
            )
            watchers.append(self.progress)
        return watchers

    def _confirm(self) -> Confirmation | None:
        """Train the best again, then the winner's baselines; None where there is nothing to confirm."""
        best, history = self.ledger.ranked(), self.claim.history
        if not best:
            return None
        began_s = time.monotonic()
        run_s = self.config.search.max_epochs * best[0].training_s / best[0].epochs
        left_s = None if self.times.total_s is None else self.times.total_s - self.budget.used_s
        plan = history.plan or plan_confirmation(self.config, len(best), run_s, left_s, self.places)
        self.claim.logbook.write("confirming", plan=asdict(plan))
        if self.progress is not None:
            self.progress.begin("Confirming", plan.num_runs)
        self.job.say("Confirming", f"the best {plan.top}, and two baselines, in {plan.seeds} fresh seeds each")
        tops = candidates_of(self.space, best[: plan.top], fresh_seeds(self.config, plan.seeds, history.rounds))
        watched = Ledger(self.ledger.objective, self.ledger.watchers, self.job.tell)
        count, prepared = min(self.places, plan.num_runs), self.preparation.prepared
        budget = Budget(plan.num_runs, interrupt=self.job.interrupt)
        with Seats(
            count, prepared, self.config.resources, self.claim.folder, watched, budget, history.confirmations
        ) as seats:
            confirmation = confirm(tops, seats.train, self.ledger.objective)
        self.job.clock.confirm_s = time.monotonic() - began_s
        return confirmation

    def _outcome(self, confirmation: Confirmation | None) -> dict[str, Any]:
        if confirmation is None:
            return self._failed()
        began_s = time.monotonic()
        self.claim.logbook.write("test opened")
        head = {**self._head, "test_opened": self.claim.history.tests_opened + 1}
        best = self.claim.folder / "best"
        found = complete(head, confirmation, self.preparation, self.fitted.limits, self.ledger, best)
        self.job.clock.export_s = time.monotonic() - began_s
        return found

    def _failed(self) -> dict[str, Any]:
        messages = (r.message for r in self.ledger.records.values() if r.status is Status.FAILED)
        assert self.conductor is not None
        first = next(messages, self.conductor.exhausted or "no trial came to its end in two seeds")
        return {**self._head, **failed(f"no trial could be used; the first said: {first}")}

    def _interrupted(self) -> dict[str, Any]:
        return {**self._head, **interrupted(self.ledger, self.space)}

    @property
    def _head(self) -> dict[str, Any]:
        return {"name": self.claim.folder.name, "space": self.job.order.space_name}
