"""Confirmation: the best trials again from fresh seeds, and the two baselines in the same seeds.

The best of many noisy validation results looks better than it is (the winner's curse; Schneider et al., "Overtuning in
Hyperparameter Optimization", AutoML 2025, https://arxiv.org/abs/2506.19540), so the winner is named by the mean of its
re-trainings. Baselines share the winner's seeds, architecture and optimizer: no teacher, and distillation as everybody
does it (T = 4, soft_weight = 0.9).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ray

from distill_tune.config import Config, tables_of
from distill_tune.config.sections import ResourcesConfig
from distill_tune.config.validate import validate
from distill_tune.distillation.materials import Prepared
from distill_tune.errors import DistillTuneError
from distill_tune.tuning.budget import Budget
from distill_tune.tuning.ledger import Ledger, Report, Status, TrialRecord
from distill_tune.tuning.trial import make_group
from distill_tune.tuning.worker_group import Assignment

DEFAULT_DISTILLATION = {"kind": "soft_targets", "temperature": 4.0, "soft_weight": 0.9}
_SEED_OFFSET = 1000
"""Confirmation seeds start here above the search's, so that no trial has seen them."""


@dataclass
class Candidate:
    """One configuration over several seeds."""

    name: str
    """"trial-0007", "no_teacher" or "default_distillation"."""
    config: Config
    seeds: list[int]
    source: TrialRecord | None = None
    """The trial that it comes from; None for a baseline."""
    weights: dict[int, Path] = field(default_factory=dict)
    """Seed to the trained student's weights."""
    reports: dict[int, Report] = field(default_factory=dict)
    """Seed to the last report."""

    def mean(self, metric: str) -> float:
        """Mean over the seeds that were trained to the end."""
        return sum(report[metric] for report in self.reports.values()) / len(self.reports)


def no_teacher(config: Config) -> Config:
    """The same student and optimizer, without a teacher."""
    return validate({**tables_of(config), "loss": {"kind": "labels"}})


def default_distillation(config: Config) -> Config:
    """The same student and optimizer, with the field's default temperature and weight."""
    return validate({**tables_of(config), "loss": DEFAULT_DISTILLATION})


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


def confirm(
    candidates: list[Candidate],
    prepared: Prepared,
    resources: ResourcesConfig,
    num_seats: int,
    folder: Path,
    ledger: Ledger,
    budget: Budget,
) -> None:
    """Train every candidate in every of its seeds, `num_seats` at a time; fills their `weights` and `reports`.

    A training that fails leaves its seed out; an interrupted budget leaves out what has not begun.

    Raises:
        DistillTuneError: a seat could not be kept running.
    """
    waiting: SimpleQueue[tuple[Candidate, int]] = SimpleQueue()
    runs = [(candidate, seed) for candidate in candidates for seed in candidate.seeds if seed not in candidate.weights]
    for run in runs:
        waiting.put(run)
    lock, faults = threading.Lock(), list[BaseException]()

    def work(place: int) -> None:
        try:
            seat = _new_seat(resources, folder, f"confirm-{place}")
            while budget.ended_by is None and not faults:
                candidate, seed = waiting.get_nowait()
                _train(seat, candidate, seed, prepared, folder, ledger, lock)
        except Empty:
            ray.get(seat.close.remote())
        except BaseException as error:  # raised again below, in the thread that asked
            faults.append(error)

    threads = [threading.Thread(target=work, args=(place,)) for place in range(min(num_seats, len(runs)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise DistillTuneError(f"the confirmation could not be finished: {faults[0]}") from faults[0]


def _new_seat(resources: ResourcesConfig, folder: Path, name: str) -> Any:
    alone = resources.workers_per_trial == 1
    options = (
        {"num_cpus": resources.cpus_per_worker, "num_gpus": resources.gpus_per_worker} if alone else {"num_cpus": 0}
    )
    return ray.remote(Seat).options(**options).remote(resources, folder, name)


def _train(
    seat: Any,
    candidate: Candidate,
    seed: int,
    prepared: Prepared,
    folder: Path,
    ledger: Ledger,
    lock: threading.Lock,
) -> None:
    name = f"confirm-{candidate.name}-seed{seed}"
    weights = folder / "confirmation" / f"{name}.safetensors"
    assignment = Assignment(name, candidate.config, seed, prepared, keep=weights)
    record = TrialRecord(
        number=-1,
        trial_id=name,
        values={} if candidate.source is None else candidate.source.values,
        group=f"confirm-{candidate.name}",
        parameters=0 if candidate.source is None else candidate.source.parameters,
        multiply_adds=0 if candidate.source is None else candidate.source.multiply_adds,
    )
    with lock:
        ledger.start(record)
    try:
        for reference in seat.train.options(num_returns="streaming").remote(assignment):
            report = ray.get(reference)
            with lock:
                ledger.report(name, report)
    except ray.exceptions.RayTaskError as error:
        with lock:
            ledger.end(record, Status.FAILED, " ".join(str(error.cause).split())[:300])
        return
    with lock:
        candidate.weights[seed], candidate.reports[seed] = weights, record.last
        ledger.end(record, Status.COMPLETED)
