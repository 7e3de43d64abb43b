"""Several workers: one long-lived Ray Train run whose train function serves assignments until it is closed.

The documented way starts a TorchTrainer in every trial, which costs ten seconds or more each time. Here the run, its
workers and their process group stay; only assignments change. A mailbox actor connects both sides: the trial requests
reports from it; rank 0 requests assignments and asks after each epoch whether to continue, and broadcasts the answers
to the other ranks. If a worker or its node dies, Ray Train restarts the workers, which find the current assignment
again and resume from its last checkpoint.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import ray
import ray.train
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.execution.callback import ControllerCallback, WorkerGroupCallback
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import ConfigError, StorageError, TrainingError, one_line
from distill_tune.tuning.cluster.connection import QUIET
from distill_tune.tuning.cluster.pinning import on_this_node
from distill_tune.tuning.cluster.places import drop_waiting_places
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.checkpoints import read_checkpoint
from distill_tune.tuning.workers.faults import log_fault
from distill_tune.tuning.workers.files import Files
from distill_tune.tuning.workers.mailbox import Mailbox, RunFault
from distill_tune.tuning.workers.torch_backend import LateTorchConfig
from distill_tune.tuning.workers.worker_group import WorkerGroup, WorkersAreNotUp, train

_RESTARTS = 3
_SHUTDOWN_TIMEOUT_S = 30.0
_SETTINGS = {
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.5",
    # Waiting for places on a busy cluster is not a trial's fault, but Ray Train would fail it after four minutes.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "86400",
}
"""Settings for Ray Train, which passes them on to its controller."""
_BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}
"""Backends of the process group.

What rank 0 broadcasts are no GPU tensors, and should not take a GPU's memory and time.
"""


class RayTrainGroup(WorkerGroup):
    """A group of several Ray Train workers, kept warm."""

    _is_open = False
    """Whether it was started and not shut down since then."""

    def __init__(self, resources: ResourcesConfig, storage: Path, name: str, retries: int, files: Files):
        """Create a group of workers, not yet started.

        Args:
            resources: how many workers, and what each of them gets.
            storage: folder for Ray Train's state, in that of a search.
            name: the group's name there.
            retries: how often an epoch is assigned again after one of its workers has died in it.
            files: the search's.
        """
        self._resources, self._storage, self._name = resources, storage, name
        self._retries, self._files = retries, files

    def start(self) -> None:
        """Start the run in a thread; its workers come up while the first assignment is on its way."""
        for name, value in (QUIET | _SETTINGS).items():  # on a cluster that others started, no process has them
            os.environ.setdefault(name, value)
        _name_the_cluster()
        self._mailbox = mailbox_here(self._retries)
        cpus, gpus = self._resources.cpus_per_worker, self._resources.gpus_per_worker
        trainer = _Trainer(
            serve,
            train_loop_config={"mailbox": self._mailbox, "threads": cpus, "folder": self._storage.parent},
            backend_config=LateTorchConfig(_BACKENDS[self._resources.device]),
            scaling_config=ray.train.ScalingConfig(
                num_workers=self._resources.workers_per_trial,
                use_gpu=gpus > 0,
                resources_per_worker={"CPU": float(cpus)} | ({"GPU": gpus} if gpus else {}),
            ),
            run_config=ray.train.RunConfig(
                name=self._name,
                storage_path=str(self._files.own(self._storage)),
                failure_config=_failure_config(),
                callbacks=[_Steward(self._mailbox)],  # type: ignore[list-item]  # beyond its public kind
            ),
        )
        self._thread = threading.Thread(target=_fit, args=(trainer, self._mailbox), daemon=True)
        self._thread.start()
        self._is_open = True

    def assign(self, assignment: Assignment) -> None:
        """Give the assignment to the workers; what they are working on ends after its epoch."""
        self._assignment, self._tries = assignment, 1 + self._retries
        self._hand_out()

    def _hand_out(self) -> None:
        self._tries -= 1
        if not (self._is_open and self._thread.is_alive()):  # shut down, or failed for good: not this trial's fault
            ray.kill(self._mailbox)
            if self._is_open:  # a dead controller leaves its requests for places behind
                drop_waiting_places()
            self.start()
        ray.get(self._mailbox.assign.remote(self._assignment))

    def next_report(self) -> Report:
        """Let the workers train one epoch, if they are up; if the run itself failed, start another."""
        report = ray.get(self._mailbox.next_report.remote())
        if isinstance(report, RunFault) and self._tries:
            self._thread.join(_SHUTDOWN_TIMEOUT_S)
            self._hand_out()
            raise WorkersAreNotUp
        if report is None:
            raise WorkersAreNotUp
        if isinstance(report, str):
            raise TrainingError(report)
        if isinstance(report, StorageError):
            raise report
        return dict(report)

    def shutdown(self) -> None:
        """Let the run end, which frees its placement group; then drop the mailbox."""
        if not self._is_open:
            return
        self._is_open = False
        if not ray.get(self._mailbox.close.remote()):
            drop_waiting_places()  # which makes its controller look at the mailbox again
        self._thread.join(_SHUTDOWN_TIMEOUT_S)
        ray.kill(self._mailbox)


def _fit(trainer: Any, mailbox: Any) -> None:
    try:
        trainer.fit()
    except Exception as error:  # reported to the trial, which then fails
        ray.get(mailbox.fail.remote(f"the workers could not be kept running: {error}"))


class _Trainer(DataParallelTrainer):
    """Starts no process for distributing Ray Data's datasets; samples are read from files."""

    def _create_default_callbacks(self) -> list[Any]:
        return [each for each in super()._create_default_callbacks() if not isinstance(each, DatasetsCallback)]


class _Steward(ControllerCallback, WorkerGroupCallback):
    """Connects Ray Train's controller to the mailbox."""

    def __init__(self, mailbox: Any):
        self._mailbox = mailbox

    def after_worker_group_poll_status(self, worker_group_status: Any) -> None:
        """Report the death of a worker, after which all are restarted as soon as there is room."""
        if worker_group_status.errors:
            self._mailbox.lost.remote()

    def before_controller_execute_resize_decision(self, resize_decision: Any) -> None:
        """Start no workers for a group that was given up; raising is the way to end a controller."""
        if ray.get(self._mailbox.is_closed.remote()):
            raise RuntimeError("nobody wants these workers any more")


def mailbox_here(retries: int) -> Any:
    """The mailbox's actor, on this node: elsewhere it could be lost without its trial, which would then fail."""
    made = ray.remote(Mailbox).options(num_cpus=0, max_concurrency=64, scheduling_strategy=on_this_node())
    return made.remote(retries)


def _name_the_cluster() -> None:
    """Tell Ray Train's helpers which cluster they are in.

    The one that removes the placement group of a killed run uses Ray's state API, which looks for a cluster on this
    machine and gives up if it finds two. The killed trial's workers would then keep their places for good.
    """
    from ray.train.v2._internal import constants

    os.environ.setdefault("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    constants.ENV_VARS_TO_PROPAGATE.add("RAY_ADDRESS")


def _failure_config() -> Any:
    made: Any = ray.train.FailureConfig  # mypy sees the class of Train V1
    return made(max_failures=-1, controller_failure_limit=_RESTARTS)


def serve(config: dict[str, Any]) -> None:
    """The train function: every rank serves assignments until the mailbox is closed."""
    import ray.train.torch
    import torch

    torch.set_num_threads(config["threads"])
    mailbox, context = config["mailbox"], ray.train.get_context()
    ranks = _Ranks(context.get_world_rank() == 0)
    device = str(ray.train.torch.get_device())
    while (given := ranks.ask(mailbox.next_assignment)) is not None:
        number, assignment = given
        try:
            _serve_one(mailbox, ranks, number, assignment, device)
        except (TrainingError, ConfigError) as error:  # the assignment's fault, raised by every rank: losses are summed
            ranks.ask(mailbox.drop, number, str(error))
        except (
            StorageError
        ) as error:  # on rank 0; the others learn of it when they ask whether to continue, and drop it too
            ranks.ask(mailbox.drop, number, error)
        except Exception as error:  # on this rank alone, or because another died: all must restart
            log_fault(assignment.files, config["folder"], assignment.trial_id, error)
            told = error.__cause__ if isinstance(error, _OfThisNode) else one_line(error)
            ray.get(mailbox.note_fault.remote(told))
            os._exit(1)  # otherwise others would wait for it in collective operations


class _OfThisNode(Exception):
    """Wraps a StorageError of this node, which ranks on other nodes do not know of."""


def _serve_one(mailbox: Any, ranks: _Ranks, number: int, assignment: Assignment, device: str) -> None:
    """Train as long as another epoch is wanted.

    Rank 0 reads the checkpoint for all: on a network file system, one node may not yet see what another has written.
    """
    try:
        _ = assignment.prepared_here
    except StorageError as error:
        raise _OfThisNode(str(error)) from error
    found: bytes = ranks.agree(lambda: read_checkpoint(assignment.checkpoint, assignment.files))
    with closing(train(assignment, device, ranks.is_first, found)) as reports:
        for report in reports:
            if not ranks.ask(mailbox.report, number, report, report["epoch"] >= assignment.max_epochs):
                return


class _Ranks:
    """Lets rank 0 find an answer and broadcasts it to all ranks."""

    def __init__(self, is_first: bool):
        self.is_first = is_first

    def ask(self, method: Any, *arguments: Any) -> Any:
        """Result of an actor's method, called by rank 0."""
        return self.agree(lambda: ray.get(method.remote(*arguments)))

    def agree(self, find: Callable[[], Any]) -> Any:
        """Result of `find`, called by rank 0."""
        import torch.distributed as dist

        box = [find() if self.is_first else None]
        dist.broadcast_object_list(box, src=0)
        return box[0]
