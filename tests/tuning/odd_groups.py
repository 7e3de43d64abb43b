"""Test-only worker groups for `TrialContext.group_of`; a trial's actor imports them from here."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.util.placement_group import placement_group, remove_placement_group

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.verdict.confirmation_worker import ConfirmationWorker, WorkerContext
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.files import HERE
from distill_tune.tuning.workers.groups import WORKERS
from distill_tune.tuning.workers.ray_train_group import RayTrainGroup
from distill_tune.tuning.workers.worker_group import WorkerGroup, WorkersAreNotUp

WAITED_FOR = 5
MODULES = "modules.txt"


def made_up(epoch: int) -> Report:
    """A report of an epoch that was not trained."""
    numbers = {"val/accuracy": 0.5, "val/loss": 0.5, "time/began_s": time.time(), "time/training_s": 0.0}
    return {"epoch": epoch, **numbers, "place": os.getpid()}


class Untrained(WorkerGroup):
    """Two places that train nothing; the second comes up only once the first has begun `WAITED_FOR` trials."""

    def __init__(self, folder: Path):
        self._pipe, self._begun, self._is_first = folder / "pipe", 0, False

    def start(self) -> None:
        try:
            os.mkfifo(self._pipe)
            self._is_first = True
        except FileExistsError:
            self._pipe.read_bytes()  # blocks until the first has written

    def assign(self, assignment: Assignment) -> None:
        self._begun, self._epoch = self._begun + 1, 0
        if self._is_first and self._begun == WAITED_FOR:
            self._pipe.write_bytes(b"come up")  # blocks until the other reads

    def next_report(self) -> Report:
        self._epoch += 1
        return made_up(self._epoch)

    def shutdown(self) -> None: ...


def untrained(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return Untrained(folder)


class DyingOnce(Untrained):
    """One place whose process dies once, while its second trial is assigned."""

    def start(self) -> None:
        self._mark = self._pipe.with_name("has died")

    def assign(self, assignment: Assignment) -> None:
        super().assign(assignment)
        if self._begun == 2 and not self._mark.exists():
            self._mark.touch()
            os._exit(1)


def dying_once(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return DyingOnce(folder)


class Spacious(WorkerGroup):
    """Trains nothing, but holds the places that its workers would have, or waits for them.

    The first two in a folder begin together: each has an assignment before either trains.
    """

    def __init__(self, workers: int, folder: Path):
        self._workers, self._folder = workers, folder
        self._places: Any = None

    def start(self) -> None:
        self._places = placement_group([{"CPU": 1.0}] * self._workers)

    def assign(self, assignment: Assignment) -> None:
        if self._places is None:
            self.start()
        self._epoch = 0
        pipe = self._folder / "pipe"
        try:
            os.mkfifo(pipe)
            pipe.read_bytes()  # blocks until the second opens it
        except FileExistsError:
            with suppress(FileExistsError):
                (self._folder / "both have begun").mkdir()
                pipe.write_bytes(b"")

    def next_report(self) -> Report:
        if not self._places.wait(1.0):
            raise WorkersAreNotUp
        self._epoch += 1
        return made_up(self._epoch)

    def shutdown(self) -> None:
        if self._places is not None:
            remove_placement_group(self._places)
        self._places = None


def spacious(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return Spacious(resources.workers_per_trial, folder)


class SpaciousWorker(ConfirmationWorker):
    """A confirmation worker with a `Spacious` group."""

    def __init__(self, context: WorkerContext, name: str):
        self._context = context
        self._group = Spacious(context.resources.workers_per_trial, context.folder)
        self._group.start()


class Stillborn(ConfirmationWorker):
    """A confirmation worker that cannot be created."""

    def __init__(self, *arguments: Any):
        raise RuntimeError("a driver that is too old")


class Telling(RayTrainGroup):
    """Records what its process has imported."""

    def next_report(self) -> Report:
        report = super().next_report()
        (self._storage.parent / MODULES).write_text("\n".join(sys.modules))
        return report


def telling(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return Telling(resources, folder / WORKERS, name, retries, HERE)
