"""Seats: warm actors that train the confirmation's students, one training after another."""

from __future__ import annotations

import math
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray

from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.prepared import Prepared
from distill_tune.errors import DistillTuneError, one_line
from distill_tune.tuning.budget import Budget
from distill_tune.tuning.cluster import free_places
from distill_tune.tuning.confirmation import Candidate, confirmation_record
from distill_tune.tuning.ledger import Ledger, Report, Status, TrialRecord
from distill_tune.tuning.pile import Pile
from distill_tune.tuning.trial import CHECKPOINTS, WORKERS, make_group
from distill_tune.tuning.worker_group import Assignment

WEIGHTS = "confirmation"
"""The folder of a search with the students of its confirmation."""
_RESTARTS = 2
"""How often a seat whose process died is started again, and a training begun again whose seat died."""
_PATIENCE_S = 60.0
_LOOK_EVERY_S = 1.0
"""While a seat is waited for, whether it is still needed."""


@dataclass(frozen=True)
class _Training:
    """One seed of one candidate."""

    candidate: Candidate
    seed: int
    tries_left: int = _RESTARTS
    why: str = "no worker could be kept running"


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
        self._up: set[Any] = set()
        """Seats that have been up."""
        self._up_s = time.monotonic()

    def __enter__(self) -> Seats:
        alone = self._resources.workers_per_trial == 1
        cpus, gpus = (self._resources.cpus_per_worker, self._resources.gpus_per_worker) if alone else (0, 0)
        seat = ray.remote(Seat).options(num_cpus=cpus, num_gpus=gpus, max_restarts=_RESTARTS)
        self._seats = [seat.remote(self._resources, self._folder, f"seat-{i}") for i in range(self._count)]
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        for seat in self._seats:
            if seat in self._up and self._budget.ended_by is None and kind is None:  # else it may still be training
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
        pile = Pile(
            _Training(candidate, seed)
            for candidate in candidates
            for seed in candidate.seeds
            if not self._is_known(candidate, seed)
        )
        faults: list[Exception] = []
        threads = [threading.Thread(target=self._work, args=(seat, pile, faults), daemon=True) for seat in self._seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if faults:
            raise DistillTuneError(f"the confirmation could not be finished: {one_line(faults[0])}") from faults[0]
        for training in pile.clear() if self._budget.ended_by is None else []:  # no seat is left to do it
            self._end(self._begun(training), Status.FAILED, training.why)

    def _work(self, seat: Any, pile: Pile[_Training], faults: list[Exception]) -> None:
        """One seat's thread: train what waits, as long as the seat is up."""
        try:
            while self._is_up(seat, pile) and (training := pile.take()) is not None:
                self._train_one(seat, training, pile)
        except Exception as error:  # raised again in the thread that asked
            faults.append(error)
        if faults or self._budget.ended_by is not None:
            pile.clear()

    def _is_up(self, seat: Any, pile: Pile[_Training]) -> bool:
        """Wait for a seat to be up, or up again; False where Ray has given it up, or it is no longer needed.

        On a cluster that has lost a node there may be no place for it until the others are done.
        """
        answer = seat.ready.remote()
        while self._budget.ended_by is None and not pile.is_done:
            if ray.wait([answer], timeout=_LOOK_EVERY_S)[0]:
                return self._answers(seat, answer)
            self._say_what_is_waited_for()
        return False

    def _say_what_is_waited_for(self) -> None:
        """Once, after long enough without any seat that it is no slow start."""
        with self._lock:
            if self._up:
                self._up_s = time.monotonic()
            elif time.monotonic() - self._up_s > _PATIENCE_S:
                self._up_s = math.inf
                self._ledger.say(f"the confirmation waits for a place: {free_places()}")

    def _answers(self, seat: Any, answer: Any) -> bool:
        try:
            ray.get(answer)
        except ray.exceptions.RayActorError:
            return False
        self._up.add(seat)
        return True

    def _is_known(self, candidate: Candidate, seed: int) -> bool:
        """Whether the training ended in an earlier sitting; then its outcome is taken from there."""
        record, weights = self._known.get(candidate.run_name(seed)), self._weights(candidate, seed)
        if record is None or record.status is Status.RUNNING:
            return False
        if record.status is Status.COMPLETED and not weights.exists():  # the folds' are written before it
            return False
        self._ledger.know(record)
        if record.status is Status.COMPLETED:
            candidate.weights[seed], candidate.reports[seed] = weights, record.last
        return True

    def _weights(self, candidate: Candidate, seed: int) -> Path:
        return self._folder / WEIGHTS / f"{candidate.run_name(seed)}.safetensors"

    def _begun(self, training: _Training) -> TrialRecord:
        """The record of a training that begins, goes on from an earlier sitting, or is begun again."""
        name = training.candidate.run_name(training.seed)
        known = self._ledger.records.get(name) or self._known.get(name)
        if known is not None and known.status is Status.RUNNING:
            return known
        return confirmation_record(training.candidate, training.seed)

    def _train_one(self, seat: Any, training: _Training, pile: Pile[_Training]) -> None:
        """Train to an end, or, if the seat's process or node dies, give the training back."""
        candidate, seed = training.candidate, training.seed
        weights, record = self._weights(candidate, seed), self._begun(training)
        checkpoint = self._folder / CHECKPOINTS / f"{record.trial_id}.pt"
        assignment = Assignment(record.trial_id, candidate.config, seed, self._prepared, checkpoint, keep=weights)
        with self._lock:
            if record.trial_id not in self._ledger.records:
                self._ledger.start(record)
        try:
            if self._trained(seat, assignment, record):
                candidate.weights[seed], candidate.reports[seed] = weights, record.last
                self._end(record, Status.COMPLETED)
        except ray.exceptions.RayActorError as error:
            self._up.discard(seat)
            if training.tries_left:
                return pile.put_back(replace(training, tries_left=training.tries_left - 1, why=one_line(error)))
            self._end(record, Status.FAILED, one_line(error))
        except ray.exceptions.RayTaskError as error:
            self._end(record, Status.FAILED, one_line(error.cause))
        pile.done()

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
