"""Worker groups that are not the product's, for `TrialContext.group_of`; a trial's actor imports them from here."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.verdict.confirmation_worker import ConfirmationWorker
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.groups import WORKERS
from distill_tune.tuning.workers.ray_train_group import RayTrainGroup
from distill_tune.tuning.workers.worker_group import WorkerGroup

WAITED_FOR = 5
MODULES = "modules.txt"


class Untrained(WorkerGroup):
    """Two places of which the second comes up only when the first has begun `WAITED_FOR` trials; none trains."""

    def __init__(self, folder: Path):
        self._pipe, self._begun, self._is_first = folder / "pipe", 0, False

    def start(self) -> None:
        try:
            os.mkfifo(self._pipe)
            self._is_first = True
        except FileExistsError:
            self._pipe.read_bytes()  # until the first has written to its other end

    def assign(self, assignment: Assignment) -> None:
        self._begun, self._epoch = self._begun + 1, 0
        if self._is_first and self._begun == WAITED_FOR:
            self._pipe.write_bytes(b"come up")  # and not before the other reads

    def next_report(self) -> Report:
        self._epoch += 1
        numbers = {"val/accuracy": 0.5, "val/loss": 0.5, "time/began_s": time.time(), "time/training_s": 0.0}
        return {"epoch": self._epoch, **numbers, "place": os.getpid()}

    def shutdown(self) -> None: ...


def untrained(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return Untrained(folder)


class DyingOnce(Untrained):
    """One place, whose process dies once, while it is handed its second trial."""

    def start(self) -> None:
        self._mark = self._pipe.with_name("has died")

    def assign(self, assignment: Assignment) -> None:
        super().assign(assignment)
        if self._begun == 2 and not self._mark.exists():
            self._mark.touch()
            os._exit(1)


def dying_once(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return DyingOnce(folder)


class Stillborn(ConfirmationWorker):
    """One of a confirmation's workers that cannot be made."""

    def __init__(self, *arguments: Any):
        raise RuntimeError("a driver that is too old")


class Telling(RayTrainGroup):
    """Writes down what its process has imported."""

    def next_report(self) -> Report:
        report = super().next_report()
        (self._storage.parent / MODULES).write_text("\n".join(sys.modules))
        return report


def telling(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    return Telling(resources, folder / WORKERS, name, retries)
