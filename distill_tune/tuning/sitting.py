"""One sitting of a search: the work between the claim to its folder and its summary."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict
from typing import Any

from distill_tune.distillation.prepare import Preparation
from distill_tune.errors import DistillTuneError
from distill_tune.export.trials_table import write_trials
from distill_tune.tuning import display, summary
from distill_tune.tuning.agreement import rung_report, warning_of
from distill_tune.tuning.budget import SENTENCES, Budget, Reason
from distill_tune.tuning.claim import Claim
from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.confirmation import Confirmation, candidates_of, confirm, fresh_seeds
from distill_tune.tuning.display import Voice
from distill_tune.tuning.fitting import Fitted
from distill_tune.tuning.front import candidates, front_in_words, front_of, front_rows
from distill_tune.tuning.interrupts import Interrupt
from distill_tune.tuning.ledger import Ledger, Status, Watcher
from distill_tune.tuning.logbook import JOURNAL, Logbook
from distill_tune.tuning.outcome import complete, failed, interrupted
from distill_tune.tuning.plan import Times, plan_confirmation
from distill_tune.tuning.progress import ProgressWatcher
from distill_tune.tuning.run import run_search
from distill_tune.tuning.seats import Seats
from distill_tune.tuning.study import Study
from distill_tune.tuning.tensorboard import TensorBoardWatcher
from distill_tune.tuning.trial import CheckpointSweeper, TrialContext
from distill_tune.tuning.warm_start import trials_of_others


class Sitting:
    """Search, confirmation and examination in a claimed folder, from wherever an earlier sitting has left off."""

    def __init__(
        self,
        space_name: str,
        voice: Voice,
        interrupt: Interrupt,
        clock: summary.Clock,
        claim: Claim,
        fitted: Fitted,
        preparation: Preparation,
        places: int,
        prepared_s: float,
    ):
        """`prepared_s`, in seconds since 1970, is when the preparation had ended."""
        self.space_name, self.voice, self.interrupt, self.clock = space_name, voice, interrupt, clock
        self.claim, self.fitted, self.preparation, self.places = claim, fitted, preparation, places
        self.prepared_s = prepared_s
        self.space, self.config = fitted.space, fitted.space.config
        lanes = self.config.resources.lanes
        assert lanes != "auto", "settled before a sitting"
        self.lanes = min(lanes, -(-self.config.search.trials // places))
        """Of each place; no more than there are trials for."""
        search = self.config.search
        self.times = Times.of(search)
        self.ledger = Ledger(search.objectives[0], say=self.voice.tell, further=search.objectives[1:])
        self.judge = search.chosen("scheduler").judge(search)
        sign = self.ledger.sign
        self.budget = Budget(
            search.trials,
            self.times.search_s,
            search.epochs,
            sign * search.target if search.target is not None else float("inf"),
            search.patience,
            interrupt,
            claim.history.spent_s,
        )
        self.ended_by: Reason | None = None
        """Why the search was over, where it was."""
        self.progress: ProgressWatcher | None = None
        self.conductor: Conductor | None = None

    def work(self) -> dict[str, Any]:
        """Do what is left to do; returns what the summary says of it, `effort` apart.

        Raises:
            DistillTuneError: the result folder cannot be written, or the confirmation could not be finished.
        """
        try:
            return self._in_order()
        except KeyboardInterrupt:  # the second one: whatever is at work is left as it is
            self.interrupt.requested = True
            if self.conductor is not None:
                self.conductor.end_the_rest()
            self._write_trials()
            return self._interrupted()
        finally:
            self.ledger.close()  # the panel hides the cursor until it is closed

    def effort(self) -> dict[str, Any]:
        """What the search has cost, and why it ended."""
        ended_by = self.ended_by or (Reason.USER if self.interrupt.requested else self.budget.ended_by)
        return summary.effort(self.ledger, self.clock, self.places, self.lanes, self.judge.rungs, ended_by)

    def _in_order(self) -> dict[str, Any]:
        self._search()
        if self.interrupt.requested:
            return self._interrupted()
        confirmation = self._confirm()
        self.ledger.close()  # nothing more is trained, and the panel's clock must not run on
        if self.interrupt.requested:
            return self._interrupted()
        return self._outcome(confirmation)

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
            self.places * self.lanes,
            known_good,
            self.fitted.smallest,
        )
        for record in history.records.values():
            if record.latency_ms is not None:
                self.fitted.limits.know_latency(self.space.at(record.values), record.latency_ms)
        if not history.records:
            study.learn(trials_of_others(self.config.search.start_from, self.space))
        self.conductor.take_up(list(history.records.values()))
        try:
            if history.ended_by is None:
                context = TrialContext(self.space, self.preparation.prepared, folder, self.lanes)
                run_search(self.conductor, context, self.voice.tell)
        finally:
            self._write_trials()
            self.clock.searched(self.ledger, self.prepared_s, history.search_s)
        self._say_how_it_ended(self.conductor)

    def _say_how_it_ended(self, conductor: Conductor) -> None:
        """Say why the search is over, and write it down unless it may be taken up again for more."""
        if self.claim.history.ended_by is not None:
            self.ended_by = Reason(self.claim.history.ended_by)
            return
        ended_by = self.budget.ended_by
        assert ended_by is not None, "every search ends for a reason"
        why = conductor.exhausted or conductor.why
        if self.progress is not None:
            self.progress.close()
        if ended_by is not Reason.TRIALS:
            self.voice.tell(f"the search ends: {SENTENCES[ended_by]}" + (f" ({why})" if why else ""))
        if ended_by is Reason.STORAGE:
            raise DistillTuneError(f"{self.claim.folder}: {why}; make room and go on with --resume.")
        if ended_by is Reason.USER:
            return
        self.ended_by = ended_by
        if ended_by is not Reason.FAILURES:
            self.claim.logbook.write("searched", ended_by=str(ended_by))
        if len(self.ledger.objectives) > 1:
            self.voice.tell(front_in_words(self.ledger))
        if warning := warning_of(rung_report(self.judge.rungs, self.ledger)):
            self.voice.tell(warning)

    def _write_trials(self) -> None:
        rows = [summary.row_of(record) for record in self.ledger.records.values()]
        if len(self.ledger.objectives) > 1:
            front = {record.number for record in front_of(self.ledger)}
            rows = [row | {"on_front": row["number"] in front} for row in rows]
        write_trials(self.claim.folder / "trials.parquet", rows)

    def _watchers(self, logbook: Logbook) -> list[Watcher]:
        folder = self.claim.folder
        tensorboard = TensorBoardWatcher(folder / "tensorboard", self.space, self.ledger.objective, self.places)
        watchers: list[Watcher] = [logbook, tensorboard, CheckpointSweeper(folder)]
        if not self.voice.quiet:
            self.progress = ProgressWatcher(
                self.voice.console,
                self.ledger.objective,
                self.budget.trials,
                lambda: self.budget.left_s,
                lambda: display.rung_views(self.judge.rungs, self.ledger.sign),
                further=self.ledger.objectives[1:],
            )
            watchers.append(self.progress)
        return watchers

    def _confirm(self) -> Confirmation | None:
        """Train the best again, then the winner's baselines; None where there is nothing to confirm."""
        best, history = candidates(self.ledger), self.claim.history
        if not best:
            return None
        began_s = time.monotonic()
        run_s = self.config.search.max_epochs * best[0].training_s / best[0].epochs
        left_s = None if self.times.total_s is None else self.times.total_s - self.budget.used_s
        plan = history.plan or plan_confirmation(self.config, len(best), run_s, left_s, self.places)
        self.claim.logbook.write("confirming", plan=asdict(plan))
        if self.progress is not None:
            self.progress.begin("Confirming", plan.num_runs)
        whom = f"the best {plan.top}" if len(self.ledger.objectives) == 1 else f"{plan.top}, the front first"
        self.voice.say("Confirming", f"{whom}, and two baselines, in {plan.seeds} fresh seeds each")
        tops = candidates_of(self.space, best[: plan.top], fresh_seeds(self.config, plan.seeds, history.rounds))
        watched = Ledger(self.ledger.objective, self.ledger.watchers, self.voice.tell)
        count, prepared = min(self.places, plan.num_runs), self.preparation.prepared
        budget = Budget(plan.num_runs, interrupt=self.interrupt)
        with Seats(
            count,
            prepared,
            self.config.resources,
            self.claim.folder,
            watched,
            budget,
            history.confirmations,
            self.lanes,
        ) as seats:
            confirmation = confirm(tops, seats.train, self.ledger.objective)
        self.clock.confirm_s = time.monotonic() - began_s
        return confirmation

    def _outcome(self, confirmation: Confirmation | None) -> dict[str, Any]:
        if confirmation is None:
            return self._failed()
        began_s = time.monotonic()
        self.claim.logbook.write("test opened")
        head = {**self._head, "test_opened": self.claim.history.tests_opened + 1, **self._front(confirmation)}
        best = self.claim.folder / "best"
        found = complete(head, confirmation, self.preparation, self.fitted.limits, self.ledger, best)
        self.clock.export_s = time.monotonic() - began_s
        return found

    def _failed(self) -> dict[str, Any]:
        messages = (r.message for r in self.ledger.records.values() if r.status is Status.FAILED)
        assert self.conductor is not None
        first = next(messages, self.conductor.exhausted or "no trial came to its end in two seeds")
        return {**self._head, **failed(f"no trial could be used; the first said: {first}")}

    def _interrupted(self) -> dict[str, Any]:
        return {**self._head, **interrupted(self.ledger, self.space), **self._front()}

    def _front(self, confirmation: Confirmation | None = None) -> dict[str, Any]:
        if len(self.ledger.objectives) == 1:
            return {}
        return {"front": front_rows(self.ledger, self.space, confirmation.candidates if confirmation else [])}

    @property
    def _head(self) -> dict[str, Any]:
        return {"name": self.claim.folder.name, "space": self.space_name}
