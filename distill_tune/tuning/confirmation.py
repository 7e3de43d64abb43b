"""Confirmation: the best trials again from fresh seeds, and the two baselines in the same seeds.

The best of many noisy validation results looks better than it is (the winner's curse; Schneider et al., "Overtuning in
Hyperparameter Optimization", AutoML 2025, https://arxiv.org/abs/2506.19540), so the winner is named by the mean of its
re-trainings. Baselines share the winner's seeds, architecture and optimizer: no teacher, and distillation as everybody
does it (T = 4, soft_weight = 0.9).
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ray

from distill_tune.config import Config, Space, tables_of
from distill_tune.config.sections import ResourcesConfig
from distill_tune.config.validate import validate
from distill_tune.distillation.materials import Prepared
from distill_tune.errors import DistillTuneError, one_line
from distill_tune.tuning.budget import Budget
from distill_tune.tuning.ledger import Ledger, Report, Status, TrialRecord, merit_of
from distill_tune.tuning.trial import WORKERS, make_group
from distill_tune.tuning.worker_group import Assignment

DEFAULT_DISTILLATION = {"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9}
_RESTARTS = 2
"""How often a seat whose process died is started again, for the trainings that wait."""
_SEED_OFFSET = 1000
"""Confirmation seeds start here above the search's, so that no trial has seen them."""


@dataclass
class Candidate:
    """One configuration over several seeds."""

    name: str
    """"trial-0007", "no_teacher" or "default_distillation"."""
    config: Config
    seeds: list[int]
    source: TrialRecord
    """The trial that it, or the winner that it is measured against, comes from."""
    changes: dict[str, Any] = field(default_factory=dict)
    """For a baseline: what it does otherwise, by dotted name."""
    weights: dict[int, Path] = field(default_factory=dict)
    """Seed to the trained student's weights."""
    reports: dict[int, Report] = field(default_factory=dict)
    """Seed to the last report."""

    def merit(self, objective: str) -> tuple[float, float]:
        """By what candidates are ranked."""
        return merit_of({metric: self.mean(metric) for metric in (objective, "val/loss")}, objective)

    def mean(self, metric: str) -> float:
        """Mean over the seeds that were trained to the end."""
        return sum(report[metric] for report in self.reports.values()) / len(self.reports)


@dataclass(frozen=True)
class Confirmation:
    """What was confirmed."""

    winner: Candidate
    baselines: list[Candidate]


def candidates_of(space: Space, records: list[TrialRecord], num_seeds: int) -> list[Candidate]:
    """The trials as candidates, each in the same fresh seeds."""
    seeds = fresh_seeds(space.config, num_seeds)
    return [Candidate(f"trial-{r.trial_id}", space.at(r.values), seeds, r) for r in records]


def baselines_of(winner: Candidate) -> list[Candidate]:
    """The winner's student and optimizer in the winner's seeds: without a teacher, and with default distillation."""
    losses: dict[str, dict[str, Any]] = {"no_teacher": {"kind": "labels"}, "default_distillation": DEFAULT_DISTILLATION}
    return [
        Candidate(
            name,
            validate({**tables_of(winner.config), "loss": loss}),
            winner.seeds,
            winner.source,
            {f"loss.{key}": value for key, value in loss.items()},
        )
        for name, loss in losses.items()
    ]


def fresh_seeds(config: Config, count: int) -> list[int]:
    """Seeds that the search has not used."""
    return [config.search.seed + _SEED_OFFSET + i for i in range(count)]


class Seat:
    """An actor that trains one assignment after another in a worker group of its own."""

    def __init__(self, resources: ResourcesConfig, folder: Path, name: str):
        self._group = make_group(resources, folder, name)
        self._group.start()

    def train(self, assignment: Assignment) -> Iterator[Report]:
        """Train to the end, a report an epoch."""
        self._group.assign(assignment)
        report: Report = {"epoch": 0}
        while report["epoch"] < assignment.config.search.max_epochs:
            report = dict(self._group.next_report())
            yield report

    def close(self) -> None:
        """Give back everything that the group holds."""
        self._group.shutdown()


class Seats:
    """Warm seats for a confirmation: `with Seats(...) as seats: seats.train(candidates)`, as often as need be."""

    def __init__(
        self, count: int, prepared: Prepared, resources: ResourcesConfig, folder: Path, ledger: Ledger, budget: Budget
    ):
        self._count, self._prepared, self._resources = count, prepared, resources
        self._folder, self._ledger, self._budget = folder, ledger, budget
        self._lock = threading.Lock()
        self._seats: list[Any] = []

    def __enter__(self) -> Seats:
        alone = self._resources.workers_per_trial == 1
        cpus, gpus = (self._resources.cpus_per_worker, self._resources.gpus_per_worker) if alone else (0, 0)
        seat = ray.remote(Seat).options(num_cpus=cpus, num_gpus=gpus, max_restarts=_RESTARTS)
        self._seats = [seat.remote(self._resources, self._folder, f"seat-{i}") for i in range(self._count)]
        return self

    def __exit__(self, *exception: object) -> None:
        for seat in self._seats:
            if self._budget.ended_by is None:  # else it is still training
                with suppress(ray.exceptions.RayActorError):  # it died: there is nothing left to give back
                    ray.get(seat.close.remote())
            ray.kill(seat)
        shutil.rmtree(self._folder / WORKERS, ignore_errors=True)

    def train(self, candidates: list[Candidate]) -> None:
        """Train every candidate in every of its seeds; fills their `weights` and `reports`.

        A training that fails, or whose process dies, leaves its seed out; an interrupted budget leaves out what has
        not come to its end.

        Raises:
            DistillTuneError: a seat could not be kept running.
        """
        waiting: SimpleQueue[tuple[Candidate, int]] = SimpleQueue()
        for candidate in candidates:
            for seed in candidate.seeds:
                waiting.put((candidate, seed))
        faults: list[Exception] = []

        def work(seat: Any) -> None:
            try:
                while self._budget.ended_by is None and not faults:
                    self._train_one(seat, *waiting.get_nowait())
            except Empty:
                return
            except Exception as error:  # raised again below, in the thread that asked
                faults.append(error)

        threads = [threading.Thread(target=work, args=(seat,)) for seat in self._seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise DistillTuneError(f"the confirmation could not be finished: {faults[0]}") from faults[0]

    def _train_one(self, seat: Any, candidate: Candidate, seed: int) -> None:
        name = f"confirm-{candidate.name}-seed{seed}"
        weights = self._folder / "confirmation" / f"{name}.safetensors"
        assignment = Assignment(name, candidate.config, seed, self._prepared, keep=weights)
        record = _record(name, candidate)
        with self._lock:
            self._ledger.start(record)
        for tries_left in range(_RESTARTS, -1, -1):
            try:
                if not self._trained(seat, assignment, record):
                    return
                break
            except ray.exceptions.RayActorError as error:  # its process died; Ray starts it again
                if not tries_left:
                    return self._end(record, Status.FAILED, one_line(error))
            except ray.exceptions.RayTaskError as error:
                return self._end(record, Status.FAILED, one_line(error.cause))
        with self._lock:
            candidate.weights[seed], candidate.reports[seed] = weights, record.last
            self._ledger.end(record, Status.COMPLETED)

    def _trained(self, seat: Any, assignment: Assignment, record: TrialRecord) -> bool:
        """Train to the end, or, where the budget has ended, to the end of the epoch."""
        for reference in seat.train.options(num_returns="streaming").remote(assignment):
            report = ray.get(reference)
            with self._lock:
                if report["epoch"] > record.epochs:  # a seat that was started again repeats some
                    self._ledger.report(record.trial_id, report)
            if self._budget.ended_by is not None:
                self._end(record, Status.INTERRUPTED)
                return False
        return True

    def _end(self, record: TrialRecord, status: Status, message: str = "") -> None:
        with self._lock:
            self._ledger.end(record, status, message)


def _record(name: str, candidate: Candidate) -> TrialRecord:
    source = candidate.source
    return TrialRecord(
        number=-1,
        trial_id=name,
        values={**source.values, **candidate.changes},
        group=f"confirm-{candidate.name}",
        parameters=source.parameters,
        multiply_adds=source.multiply_adds,
    )
