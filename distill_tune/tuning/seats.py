"""Seats: warm actors that train the confirmation's students, one training after another."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import ray

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.prepared import Prepared
from distill_tune.errors import DistillTuneError, one_line
from distill_tune.tuning.budget import Budget
from distill_tune.tuning.confirmation import Candidate, confirmation_record
from distill_tune.tuning.ledger import Ledger, Report, Status, TrialRecord
from distill_tune.tuning.trial import CHECKPOINTS, WORKERS, make_group
from distill_tune.tuning.worker_group import Assignment

WEIGHTS = "confirmation"
"""The folder of a search with the students of its confirmation."""
_RESTARTS = 2
"""How often a seat whose process died is started again, for the trainings that wait."""


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

    @ray.method(max_task_retries=-1)
    def ready(self) -> None:
        """Answers as soon as the seat is up, or up again: other calls fail at once while it is being restarted."""

    def close(self) -> None:
        """Give back everything that the group holds."""
        self._group.shutdown()


class Seats:
    """`with Seats(...) as seats: seats.train(candidates)`, as often as need be."""

    def __init__(
        self,
        count: int,
        prepared: Prepared,
        resources: ResourcesConfig,
        folder: Path,
        ledger: Ledger,
        budget: Budget,
        known: Mapping[str, TrialRecord] | None = None,
    ):
        """`known` trainings of an earlier sitting are not run again, and those that had begun go on."""
        self._count, self._prepared, self._resources = count, prepared, resources
        self._folder, self._ledger, self._budget, self._known = folder, ledger, budget, known or {}
        self._lock = threading.Lock()
        self._seats: list[Any] = []

    def __enter__(self) -> Seats:
        alone = self._resources.workers_per_trial == 1
        cpus, gpus = (self._resources.cpus_per_worker, self._resources.gpus_per_worker) if alone else (0, 0)
        seat = ray.remote(Seat).options(num_cpus=cpus, num_gpus=gpus, max_restarts=_RESTARTS)
        self._seats = [seat.remote(self._resources, self._folder, f"seat-{i}") for i in range(self._count)]
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        for seat in self._seats:
            if self._budget.ended_by is None and kind is None:  # else it may still be training
                with suppress(ray.exceptions.RayActorError):  # it died: there is nothing left to give back
                    ray.get(seat.close.remote())
            ray.kill(seat)
        shutil.rmtree(self._folder / WORKERS, ignore_errors=True)

    def train(self, candidates: list[Candidate]) -> None:
        """Train every candidate in every of its seeds; fills their `weights` and `reports`.

        A training that fails, or whose process dies again and again, leaves its seed out; an interrupted budget leaves
        out what has not come to its end.

        Raises:
            DistillTuneError: a seat could not be kept running.
        """
        waiting: SimpleQueue[tuple[Candidate, int]] = SimpleQueue()
        for candidate in candidates:
            for seed in candidate.seeds:
                if not self._is_known(candidate, seed):
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

        threads = [threading.Thread(target=work, args=(seat,), daemon=True) for seat in self._seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise DistillTuneError(f"the confirmation could not be finished: {one_line(faults[0])}") from faults[0]

    def _is_known(self, candidate: Candidate, seed: int) -> bool:
        """Whether the training ended in an earlier sitting; then its outcome is taken from there."""
        record, weights = self._known.get(candidate.run_name(seed)), self._weights(candidate, seed)
        if record is None or record.status is Status.RUNNING:
            return False
        if record.status is Status.COMPLETED and not weights.exists():
            return False
        self._ledger.know(record)
        if record.status is Status.COMPLETED:
            candidate.weights[seed], candidate.reports[seed] = weights, record.last
        return True

    def _weights(self, candidate: Candidate, seed: int) -> Path:
        return self._folder / WEIGHTS / f"{candidate.run_name(seed)}.safetensors"

    def _train_one(self, seat: Any, candidate: Candidate, seed: int) -> None:
        record = confirmation_record(candidate, seed)
        known = self._known.get(record.trial_id)
        if known is not None and known.status is Status.RUNNING:
            record = known
        weights = self._weights(candidate, seed)
        checkpoint = self._folder / CHECKPOINTS / f"{record.trial_id}.pt"
        assignment = Assignment(record.trial_id, candidate.config, seed, self._prepared, checkpoint, keep=weights)
        with self._lock:
            self._ledger.start(record)
        for tries_left in range(_RESTARTS, -1, -1):
            try:
                if not self._trained(seat, assignment, record):
                    return
                break
            except ray.exceptions.RayActorError as error:  # its process died; Ray starts it again
                if not tries_left or not _comes_back(seat):
                    return self._end(record, Status.FAILED, one_line(error))
            except ray.exceptions.RayTaskError as error:
                return self._end(record, Status.FAILED, one_line(error.cause))
        candidate.weights[seed], candidate.reports[seed] = weights, record.last
        self._end(record, Status.COMPLETED)

    def _trained(self, seat: Any, assignment: Assignment, record: TrialRecord) -> bool:
        """Train to the end, or, where the budget has ended, to the end of the epoch."""
        for reference in seat.train.options(num_returns="streaming").remote(assignment):
            report = ray.get(reference)
            with self._lock:
                if report["epoch"] > record.epochs:  # a seat that was started again repeats some
                    self._ledger.report(record.trial_id, report)
            if self._budget.ended_by is not None:
                record.goes_on_later = True
                self._end(record, Status.INTERRUPTED)
                return False
        return True

    def _end(self, record: TrialRecord, status: Status, message: str = "") -> None:
        with self._lock:
            self._ledger.end(record, status, message)


def _comes_back(seat: Any) -> bool:
    """Wait for a seat whose process died to be up again; False where Ray has given it up."""
    try:
        ray.get(seat.ready.remote())
    except ray.exceptions.RayActorError:
        return False
    return True
