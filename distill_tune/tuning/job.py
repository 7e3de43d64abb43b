"""The whole job after the command line: prepare, search, confirm, examine, export."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from distill_tune.config import Config, Space, parse_duration_s
from distill_tune.data import Dataset, prepare_data
from distill_tune.distillation.prepare import Preparation, prepare
from distill_tune.errors import DistillTuneError
from distill_tune.evaluation.latency import latency_ms
from distill_tune.export.model_card import model_card
from distill_tune.export.result_folder import (
    SHARED_CACHE,
    link_tree,
    nothing_left_on_refusal,
    write_json,
    write_search_toml,
)
from distill_tune.export.student_folder import write_student_folder
from distill_tune.export.trials_table import write_trials
from distill_tune.export.versions import versions
from distill_tune.tuning import cluster, display, summary
from distill_tune.tuning.budget import Budget, Reason
from distill_tune.tuning.conductor import Conductor
from distill_tune.tuning.confirmation import Candidate, Seats, baselines_of, fresh_seeds
from distill_tune.tuning.estimate import chosen_precision, estimated_epoch_s
from distill_tune.tuning.examination import examine, load_student
from distill_tune.tuning.ledger import Ledger, Watcher
from distill_tune.tuning.limits import Limits, check_some_student_fits
from distill_tune.tuning.plan import affordable_epochs, plan_confirmation, search_time_s
from distill_tune.tuning.progress import ProgressWatcher
from distill_tune.tuning.run import interruptible, run_search
from distill_tune.tuning.rungs import Rungs, rungs_of
from distill_tune.tuning.study import Study
from distill_tune.tuning.tensorboard import TensorBoardWatcher
from distill_tune.tuning.trial import TrialContext


@dataclass
class Job:
    """One search: its space, its folder, and what people see of it."""

    space: Space
    tables: dict[str, Any]
    """The space as read, ranges included."""
    space_name: str
    folder: Path
    command: str
    console: Console
    quiet: bool = False
    address: str | None = None
    clock: summary.Clock = field(default_factory=summary.Clock)

    def run(self) -> dict[str, Any]:
        """Do it all; returns what was written to `summary.json`."""
        began_s = time.monotonic()
        with ExitStack() as stack:
            with nothing_left_on_refusal(self.folder.parent):
                found = self._prepare()
                self.clock.prepare_s = time.monotonic() - began_s
                self._prepared_s = time.time()
                resources = self.space.config.resources
                stack.enter_context(cluster.connected(self.address, resources))
                self._places = cluster.concurrency(resources, self.space.config.search.trials)
            preparation = self._claim_folder(found)
            budget, ledger = self._search(preparation)
            try:
                candidates = self._confirm(preparation, ledger, budget)
            finally:
                ledger.close()
        if budget.ended_by is Reason.USER or not candidates:
            return self._finish(self._unfinished(ledger, budget), ledger, began_s)
        return self._finish(self._export(candidates, preparation, ledger), ledger, began_s)

    def _prepare(self) -> Preparation:
        self._say("Preparing", self.space_name)
        cache = self.folder.parent / SHARED_CACHE
        dataset = prepare_data(self.space.config.data, cache)
        self._check_limits(dataset)
        self._choose_precision(dataset)
        self._fit_to_time(dataset)
        return prepare(self.space, cache, lambda line: self._say("  ", line))

    def _check_limits(self, dataset: Dataset) -> None:
        self._limits = Limits(self.space.config.limits, dataset)
        check_some_student_fits(self.space, self._limits)

    def _choose_precision(self, dataset: Dataset) -> None:
        """Settle `optim.precision = "auto"` for all trials; on GPUs each worker knows by itself."""
        config = self.space.config
        if config.optim.precision == "auto" and not config.resources.gpus_per_worker:
            self._fix("optim", "precision", chosen_precision(self.space, dataset))

    def _fix(self, section: str, key: str, value: Any) -> None:
        self.space = self.space.with_fixed(section, key, value)
        self.tables = {**self.tables, section: {**self.tables.get(section, {}), key: value}}

    def _fit_to_time(self, dataset: Dataset) -> None:
        """Where the time cannot pay for the full budget and a confirmation of it, lower the full budget, and say so."""
        config = self.space.config
        if config.search.time is None:
            return
        places = cluster.places_of_this_machine(config.resources)
        total_s = parse_duration_s(config.search.time)
        epochs = affordable_epochs(config, estimated_epoch_s(self.space, dataset), total_s, places)
        if epochs < config.search.max_epochs:
            self._say("  ", f"{config.search.time} pay for {epochs} epochs a training, not {config.search.max_epochs}")
            self._fix("search", "max_epochs", epochs)

    def _claim_folder(self, found: Preparation) -> Preparation:
        """Make the result folder; from here on, its own links to the cache are used."""
        own = self.folder / "cache"
        data_folder, teacher_folder = found.prepared.data_folder, found.prepared.teacher_folder
        link_tree(data_folder, own / data_folder.name)
        if teacher_folder is not None:
            link_tree(teacher_folder, own / teacher_folder.name)
            teacher_folder = own / teacher_folder.name
        write_search_toml(self.folder, self.tables, self.command)
        prepared = replace(found.prepared, data_folder=own / data_folder.name, teacher_folder=teacher_folder)
        return replace(found, prepared=prepared)

    def _search(self, preparation: Preparation) -> tuple[Budget, Ledger]:
        config = self.space.config
        search = config.search
        total_s = None if search.time is None else parse_duration_s(search.time)
        budget = Budget(search.trials, search_time_s(total_s))
        rungs = rungs_of(search)
        ledger = Ledger(search.objectives[0])
        ledger.watchers += self._watchers(ledger, budget, rungs)
        study = Study(self.folder / "study.journal", self.folder.name, self.space, maximize=ledger.sign > 0)
        conductor = Conductor(study, rungs, ledger, budget, self._limits, self._places, search.max_epochs)
        try:
            with interruptible(budget):
                run_search(conductor, TrialContext(self.space, preparation.prepared, self.folder))
        finally:
            rows = [summary.row_of(record) for record in ledger.records.values()]
            write_trials(self.folder / "trials.parquet", rows)
        first_s = summary.first_step_s(ledger) or time.time()
        self.clock.start_s, self.clock.search_s = first_s - self._prepared_s, time.time() - first_s
        self._deadline_s = None if total_s is None else budget.started_s + total_s
        return budget, ledger

    def _watchers(self, ledger: Ledger, budget: Budget, rungs: Rungs) -> list[Watcher]:
        tensorboard = TensorBoardWatcher(self.folder / "tensorboard", self.space, ledger.objective)
        if self.quiet:
            return [tensorboard]
        self._progress = ProgressWatcher(
            self.console,
            ledger.objective,
            self.space.config.search.trials,
            lambda: None if budget.deadline_s is None else budget.deadline_s - time.monotonic(),
            lambda: display.rung_views(rungs, ledger.sign),
        )
        return [tensorboard, self._progress]

    def _confirm(self, preparation: Preparation, ledger: Ledger, budget: Budget) -> list[Candidate]:
        """The candidates, the winner first, then the baselines; empty where there is nothing to confirm."""
        best = ledger.ranked()
        if budget.ended_by is Reason.USER or not best:
            return []
        began_s = time.monotonic()
        config = self.space.config
        left_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
        run_s = config.search.max_epochs * best[0].training_s / best[0].epochs
        plan = plan_confirmation(config, len(best), run_s, left_s, self._places)
        self._say("Confirming", f"the best {plan.top}, and two baselines, in {plan.seeds} fresh seeds each")
        seeds = fresh_seeds(config, plan.seeds)
        tops = [Candidate(f"trial-{r.trial_id}", self.space.at(r.values), seeds, r) for r in best[: plan.top]]
        watched = Ledger(ledger.objective, ledger.watchers)
        if not self.quiet:
            self._progress.begin("Confirming", plan.num_runs)
        own = Budget(plan.num_runs)
        places = min(self._places, plan.num_runs)
        seats = Seats(places, preparation.prepared, config.resources, self.folder, watched, own)
        with interruptible(own), seats:
            seats.train(tops)
            tops = sorted(
                (c for c in tops if len(c.reports) > 1), key=lambda c: -ledger.sign * c.mean(ledger.objective)
            )
            baselines = baselines_of(tops[0]) if tops else []
            seats.train(baselines)
        if own.ended_by is Reason.USER:
            budget.end(Reason.USER)
        self.clock.confirm_s = time.monotonic() - began_s
        return [*tops, *baselines] if tops else []

    def _export(self, candidates: list[Candidate], preparation: Preparation, ledger: Ledger) -> dict[str, Any]:
        began_s = time.monotonic()
        winner = candidates[0]
        judged = [winner, *(c for c in candidates if c.changes)]
        examination = examine(judged, preparation.teacher, preparation.dataset)
        weights = self._best_weights(winner, ledger)
        best = summary.best_of(winner, examination, self._cost(winner.config, weights, preparation))
        baselines = [c.name for c in judged if c is not winner]
        found = {
            **self._head("complete"),
            "best": best,
            "teacher": {
                "test": {"accuracy": examination.teacher_accuracy},
                "parameters": preparation.teacher.parameters,
            },
            "baselines": {name: {"test": summary.test_of(examination.by_candidate[name])} for name in baselines},
            "verdict": {name: summary.verdict_of(winner, name, examination) for name in baselines},
            "selection_bias": summary.selection_bias(winner, ledger.objective, ledger.sign),
        }
        self.clock.export_s = time.monotonic() - began_s
        card = model_card({**found, **summary.effort(ledger, self.clock, self._places)})
        write_student_folder(self.folder / "best", winner.config, preparation.dataset, weights, card)
        return found

    def _best_weights(self, winner: Candidate, ledger: Ledger) -> Path:
        seed = max(winner.weights, key=lambda seed: ledger.sign * winner.reports[seed][ledger.objective])
        return winner.weights[seed]

    def _cost(self, config: Config, weights: Path, preparation: Preparation) -> dict[str, Any]:
        data = preparation.dataset
        student = load_student(config, data, weights)
        return {
            **asdict(self._limits.cost(config)),
            "latency_ms": latency_ms(student, data.input_shape, data.is_image),
            "bytes": weights.stat().st_size,
        }

    def _unfinished(self, ledger: Ledger, budget: Budget) -> dict[str, Any]:
        """What is known of a search that was not confirmed."""
        if budget.ended_by is not Reason.USER:
            write_json(self.folder / "summary.json", self._head("failed"))
            first = next((r.message for r in ledger.records.values() if r.message), "no trial has trained an epoch")
            raise DistillTuneError(f"no trial could be used; the first said: {first}; see {self.folder / 'logs'}.")
        best = ledger.incumbent
        known = {} if best is None else {"trial": best.number, "validation": {"objective": best.last[ledger.objective]}}
        return {**self._head("interrupted"), "best": known}

    def _head(self, status: str) -> dict[str, Any]:
        return {"name": self.folder.name, "status": status, "space": self.space_name}

    def _finish(self, found: dict[str, Any], ledger: Ledger, began_s: float) -> dict[str, Any]:
        self.clock.total_s = time.monotonic() - began_s
        whole = {**found, **summary.effort(ledger, self.clock, self._places), "versions": versions()}
        write_json(self.folder / "summary.json", whole)
        return whole

    def _say(self, heading: str, detail: str = "") -> None:
        if not self.quiet:
            display.say(self.console, heading, detail)
