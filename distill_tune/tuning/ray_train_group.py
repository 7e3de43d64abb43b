"""Several workers: one long-lived Ray Train run whose train function serves assignments until it is closed.

The documented way starts a TorchTrainer in every trial, which costs ten seconds and more each time. Here the run, its
workers and their process group stay; only assignments change. A mailbox actor lies between: the trial asks it for
reports, rank 0 asks it for assignments and, after each epoch, whether to go on; rank 0 tells the other ranks. If a
worker or its node dies, Ray Train restarts the workers, which find the assignment in hand again and resume from its
last checkpoint.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from distill_tune.errors import DistillTuneError, TrainingError, one_line
from distill_tune.tuning.records import Report
from distill_tune.tuning.torch_backend import LateTorchConfig
from distill_tune.tuning.worker_group import Assignment, WorkerGroup, train

_TRIES = 2
"""How often workers may begin an epoch that ends them."""
_RESTARTS = 3
_SHUTDOWN_TIMEOUT_S = 30.0


class Mailbox:
    """An actor between a trial and the workers of its group; every method but `fail` is asked by one side only.

    `report` returns only when the trial wants another epoch or has dropped the assignment, so no epoch is trained that
    nobody asked for.
    """

    def __init__(self) -> None:
        self._assignment: Assignment | None = None
        self._number = 0
        self._delivered = 0.0
        """The last epoch that the trial has been told of."""
        self._closed = False
        self._fault: str | None = None
        self._wanted = False
        self._tries = 0
        """How often the workers were given the assignment since the last epoch that was reported."""
        self._why = ""
        self._reports: asyncio.Queue[Report | str] = asyncio.Queue()
        self._changed = asyncio.Condition()

    async def assign(self, assignment: Assignment | None) -> None:
        """From the trial: another assignment, or None to drop the one in hand."""
        async with self._changed:
            self._assignment, self._wanted, self._delivered = assignment, False, 0.0
            self._tries, self._why = 0, ""
            self._number += 1
            self._reports = asyncio.Queue()
            self._changed.notify_all()

    async def next_report(self) -> Report | str:
        """From the trial: the next epoch's report, or the text of what went wrong."""
        if self._fault is not None:
            return self._fault
        async with self._changed:
            self._wanted = True
            self._changed.notify_all()
        return await self._reports.get()

    async def close(self) -> None:
        """From the trial: no further assignments."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def fail(self, text: str) -> None:
        """The whole run has failed, for this assignment and every later one."""
        self._fault = text
        await self._reports.put(text)

    async def next_assignment(self) -> tuple[int, Assignment] | None:
        """From rank 0: the assignment in hand once its next epoch is wanted; None when closed.

        What has ended its workers too often without another epoch is dropped: it must not cost every later trial.
        """
        async with self._changed:
            while True:
                await self._changed.wait_for(lambda: self._closed or (self._assignment is not None and self._wanted))
                if self._closed or self._assignment is None:
                    return None
                self._tries += 1
                if self._tries <= _TRIES:
                    return self._number, self._assignment
                self._assignment, self._wanted = None, False
                await self._reports.put(self._why or "its workers died again and again")

    async def report(self, number: int, report: Report, is_last: bool) -> bool:
        """From rank 0: an epoch of assignment `number`; whether to train another."""
        async with self._changed:
            if number != self._number:
                return False
            if report["epoch"] <= self._delivered:  # restarted workers repeat what the trial has already been told
                return True
            self._delivered = report["epoch"]
            self._wanted, self._tries, self._why = False, 0, ""
            if is_last:
                self._assignment = None
            await self._reports.put(report)
            await self._changed.wait_for(lambda: self._closed or self._wanted or self._number != number)
            return not self._closed and self._number == number and not is_last

    async def note_fault(self, text: str) -> None:
        """From any rank: why its process ends; the first says most, since others then miss it."""
        self._why = self._why or text

    async def drop(self, number: int, text: str) -> None:
        """From rank 0: assignment `number` has failed by its own fault."""
        async with self._changed:
            if number == self._number:
                self._assignment, self._wanted = None, False
                await self._reports.put(text)


class RayTrainGroup(WorkerGroup):
    """A group of `num_workers` Ray Train workers, kept warm."""

    def __init__(self, num_workers: int, num_cpus: int, num_gpus: float, storage: Path, name: str):
        self._num_workers, self._num_cpus, self._num_gpus = num_workers, num_cpus, num_gpus
        self._storage, self._name = storage, name

    def start(self) -> None:
        """Start the run in a thread; its workers come up while the first assignment is on its way."""
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        _name_the_cluster()
        self._mailbox: Any = ray.remote(Mailbox).options(num_cpus=0, max_concurrency=64).remote()
        resources = {"CPU": float(self._num_cpus)} | ({"GPU": self._num_gpus} if self._num_gpus else {})
        trainer = DataParallelTrainer(
            serve,
            train_loop_config={"mailbox": self._mailbox, "threads": self._num_cpus},
            backend_config=LateTorchConfig("nccl" if self._num_gpus else "gloo"),
            scaling_config=ray.train.ScalingConfig(
                num_workers=self._num_workers, use_gpu=self._num_gpus > 0, resources_per_worker=resources
            ),
            run_config=ray.train.RunConfig(
                name=self._name,
                storage_path=str(self._storage),
                failure_config=_failure_config(),
            ),
        )
        self._thread = threading.Thread(target=self._fit, args=(trainer,), daemon=True)
        self._thread.start()

    def _fit(self, trainer: Any) -> None:
        try:
            trainer.fit()
        except Exception as error:  # reported to the trial, which fails with it
            ray.get(self._mailbox.fail.remote(f"the workers could not be kept running: {error}"))

    def assign(self, assignment: Assignment) -> None:
        """Hand the assignment to the workers; what they are at work on ends after its epoch."""
        if not self._thread.is_alive():  # the run has failed for good, which must not cost every later trial
            ray.kill(self._mailbox)
            self.start()
        ray.get(self._mailbox.assign.remote(assignment))

    def next_report(self) -> Report:
        """Let the workers train one epoch."""
        report = ray.get(self._mailbox.next_report.remote())
        if isinstance(report, str):
            raise TrainingError(report)
        return dict(report)

    def shutdown(self) -> None:
        """Let the run end by itself, which frees its placement group; then drop the mailbox."""
        ray.get(self._mailbox.close.remote())
        self._thread.join(_SHUTDOWN_TIMEOUT_S)
        ray.kill(self._mailbox)


def _name_the_cluster() -> None:
    """Tell Ray Train's helpers which cluster they are in.

    The one that removes the placement group of a killed run asks Ray's state API, which looks for a cluster on this
    machine and gives up where it finds two. The killed trial's workers then keep their places for good.
    """
    from ray.train.v2._internal import constants

    os.environ.setdefault("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    constants.ENV_VARS_TO_PROPAGATE.add("RAY_ADDRESS")


def _failure_config() -> Any:
    made: Any = ray.train.FailureConfig  # mypy sees the one of Train V1
    return made(max_failures=-1, controller_failure_limit=_RESTARTS)


def serve(config: dict[str, Any]) -> None:
    """The train function: every rank serves assignments until the mailbox is closed."""
    import ray.train.torch
    import torch

    torch.set_num_threads(config["threads"])
    mailbox, context = config["mailbox"], ray.train.get_context()
    ranks = _Ranks(context.get_world_rank() == 0)
    device = str(ray.train.torch.get_device())
    while (given := ranks.agree(mailbox.next_assignment.remote)) is not None:
        number, assignment = given
        try:
            _serve_one(mailbox, ranks, number, assignment, device)
        except DistillTuneError as error:  # the assignment's own fault, and every rank's: losses are summed over ranks
            ranks.agree(partial(mailbox.drop.remote, number, str(error)))
        except Exception as error:  # of this rank alone, or because another has died: all must start again
            ray.get(mailbox.note_fault.remote(one_line(error)))
            raise


def _serve_one(mailbox: Any, ranks: _Ranks, number: int, assignment: Assignment, device: str) -> None:
    last = assignment.config.search.max_epochs
    for report in train(assignment, device, is_first=ranks.is_first):
        if not ranks.agree(partial(mailbox.report.remote, number, report, report["epoch"] >= last)):
            return


class _Ranks:
    """Rank 0 asks; all ranks get its answer."""

    def __init__(self, is_first: bool):
        self.is_first = is_first

    def agree(self, ask: Callable[[], Any]) -> Any:
        import torch.distributed as dist

        box = [ray.get(ask()) if self.is_first else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]
