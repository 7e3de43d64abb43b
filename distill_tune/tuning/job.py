"""The whole job after the command line: prepare, search, confirm, examine, export."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from distill_tune.config import Space, parse_duration_s
from distill_tune.distillation.prepare import Preparation, announced_data, prepare
from distill_tune.errors import DistillTuneError
from distill_tune.export.result_folder import (
    SHARED_CACHE,
    link_tree,
    nothing_left_on_refusal,
    write_json,
    write_search_toml,
)
from distill_tune.export.trials_table import write_trials
from distill_tune.export.versions import versions
from distill_tune.tuning import cluster, display, summary
from distill_tune.tuning.budget import Budget, Reason
from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.confirmation import Candidate, Confirmation, Seats, baselines_of, candidates_of
from distill_tune.tuning.fitting import Fitted, fit
from distill_tune.tuning.ledger import Ledger, Status, Watcher
from distill_tune.tuning.outcome import complete, interrupted
from distill_tune.tuning.plan import plan_confirmation, search_time_s
from distill_tune.tuning.progress import ProgressWatcher
from distill_tune.tuning.run import interruptible, run_search
from distill_tune.tuning.rungs import Rungs, rungs_of
from distill_tune.tuning.study import Study
from distill_tune.tuning.tensorboard import TensorBoardWatcher
from distill_tune.tuning.trial import TrialContext


@dataclass
class Job:
    """One search: what it was asked, its folder, and what people see of it."""

    space: Space
    space_name: str
    folder: Path
    command: str
    console: Console
    quiet: bool = False
    address: str | None = None
    clock: summary.Clock = field(default_factory=summary.Clock)

    def run(self) -> dict[str, Any]:
        """Do it all; returns what was written to `summary.json`.

        Raises:
            InputError: something that the user can mend; nothing has been written.
            DistillTuneError: no trial could be used, or a phase could not be finished.
        """
        began_s = time.monotonic()
        with ExitStack() as stack:
            with nothing_left_on_refusal(self.folder.parent):
                fitted, preparation = self._prepare()
                self.clock.prepare_s = time.monotonic() - began_s
                prepared_s = time.time()
                resources = fitted.space.config.resources
                self._say("Starting", "Ray, and a worker for each place")
                stack.enter_context(cluster.connected(self.address, resources))
                places = cluster.concurrency(resources, fitted.space.config.search.trials)
            preparation = self._claim_folder(fitted, preparation)
            ledger = Ledger(fitted.space.config.search.objectives[0])
            stack.callback(ledger.close)  # before anything can raise: rich's panel hides the cursor until it is closed
            budget = self._search(fitted, preparation, places, ledger)
            self.clock.searched(ledger, prepared_s)
            confirmation = self._confirm(fitted, preparation, places, ledger, budget)
        document = self._outcome(fitted, preparation, ledger, budget, confirmation)
        self.clock.total_s = time.monotonic() - began_s
        document |= {**summary.effort(ledger, self.clock, places), "versions": versions()}
        write_json(self.folder / "summary.json", document)
        return document

    def _prepare(self) -> tuple[Fitted, Preparation]:
        self._say("Preparing", self.space_name)
        cache = self.folder.parent / SHARED_CACHE
        dataset = announced_data(self.space.config, cache, self._tell)
        fitted = fit(self.space, dataset, self._tell)
        return fitted, prepare(fitted.space, cache, self._tell, dataset)

    def _claim_folder(self, fitted: Fitted, preparation: Preparation) -> Preparation:
        """Make the result folder; from here on, its own links to the cache are used."""
        own, prepared = self.folder / "cache", preparation.prepared
        for shared in filter(None, (prepared.data_folder, prepared.teacher_folder)):
            link_tree(shared, own / shared.name)
        write_search_toml(self.folder, fitted.space, self.command)
        teacher_folder = prepared.teacher_folder and own / prepared.teacher_folder.name
        linked = replace(prepared, data_folder=own / prepared.data_folder.name, teacher_folder=teacher_folder)
        return replace(preparation, prepared=linked)

    def _search(self, fitted: Fitted, preparation: Preparation, places: int, ledger: Ledger) -> Budget:
        search = fitted.space.config.search
        total_s = None if search.time is None else parse_duration_s(search.time)
        rungs = rungs_of(search)
        budget = Budget(search.trials, search_time_s(total_s))
        self._deadline_s = None if total_s is None else budget.started_s + total_s
        ledger.watchers += self._watchers(fitted.space, ledger, budget, rungs)
        study = Study(self.folder / "study.journal", self.folder.name, fitted.space, maximize=ledger.sign > 0)
        conductor = Conductor(study, rungs, ledger, budget, fitted.limits, places)
        self._exhausted = ""
        try:
            with interruptible(budget):
                run_search(conductor, TrialContext(fitted.space, preparation.prepared, self.folder))
        finally:
            if conductor.exhausted:
                self._exhausted = conductor.exhausted
                self._tell(conductor.exhausted)
            rows = [summary.row_of(record) for record in ledger.records.values()]
            write_trials(self.folder / "trials.parquet", rows)
        return budget

    def _watchers(self, space: Space, ledger: Ledger, budget: Budget, rungs: Rungs) -> list[Watcher]:
        tensorboard = TensorBoardWatcher(self.folder / "tensorboard", space, ledger.objective)
        if self.quiet:
            return [tensorboard]
        self._progress = ProgressWatcher(
            self.console,
            ledger.objective,
            budget.trials,
            lambda: None if budget.deadline_s is None else budget.deadline_s - time.monotonic(),
            lambda: display.rung_views(rungs, ledger.sign),
        )
        return [tensorboard, self._progress]

    def _confirm(
        self, fitted: Fitted, preparation: Preparation, places: int, ledger: Ledger, budget: Budget
    ) -> Confirmation | None:
        """Train the best again, then the winner's baselines; None where there is nothing to confirm."""
        best, config = ledger.ranked(), fitted.space.config
        if budget.ended_by is Reason.USER or not best:
            return None
        began_s = time.monotonic()
        left_s = None if self._deadline_s is None else self._deadline_s - began_s
        run_s = config.search.max_epochs * best[0].training_s / best[0].epochs
        plan = plan_confirmation(config, len(best), run_s, left_s, places)
        if not self.quiet:
            self._progress.begin("Confirming", plan.num_runs)
        self._say("Confirming", f"the best {plan.top}, and two baselines, in {plan.seeds} fresh seeds each")
        tops = candidates_of(fitted.space, best[: plan.top], plan.seeds)
        watched, own = Ledger(ledger.objective, ledger.watchers), Budget(plan.num_runs)
        seats = Seats(min(places, plan.num_runs), preparation.prepared, config.resources, self.folder, watched, own)
        with interruptible(own), seats:
            confirmation = _confirmed(seats, tops, ledger)
        if own.ended_by is not None:
            budget.end(own.ended_by)
        self.clock.confirm_s = time.monotonic() - began_s
        return confirmation

    def _outcome(
        self,
        fitted: Fitted,
        preparation: Preparation,
        ledger: Ledger,
        budget: Budget,
        confirmation: Confirmation | None,
    ) -> dict[str, Any]:
        head = {"name": self.folder.name, "space": self.space_name}
        if budget.ended_by is Reason.USER:
            return {**head, **interrupted(ledger, fitted.space)}
        if confirmation is None:
            write_json(self.folder / "summary.json", {**head, "status": "failed"})
            failed = (r.message for r in ledger.records.values() if r.status is Status.FAILED)
            first = next(failed, self._exhausted or "no trial came to its end in two seeds")
            raise DistillTuneError(f"no trial could be used; the first said: {first}; see {self.folder / 'logs'}.")
        began_s = time.monotonic()
        found = complete(head, confirmation, preparation, fitted.limits, ledger, self.folder / "best")
        self.clock.export_s = time.monotonic() - began_s
        return found

    def _tell(self, line: str) -> None:
        self._say("  ", line)

    def _say(self, heading: str, detail: str = "") -> None:
        if not self.quiet:
            display.say(self.console, heading, detail)


def _confirmed(seats: Seats, tops: list[Candidate], ledger: Ledger) -> Confirmation | None:
    """The winner by its mean over fresh seeds, and its baselines; None where too few trainings came to their end."""
    seats.train(tops)
    able = [candidate for candidate in tops if len(candidate.reports) > 1]
    if not able:
        return None
    winner = max(able, key=lambda candidate: candidate.merit(ledger.objective))
    baselines = baselines_of(winner)
    seats.train(baselines)
    return Confirmation(winner, [baseline for baseline in baselines if len(baseline.reports) > 1])
