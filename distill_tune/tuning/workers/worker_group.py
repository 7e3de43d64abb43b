"""What trains a trial: a group of workers with four verbs, `start`, `assign`, `next_report` and `shutdown`.

A group outlives its trials: it is started once and given one assignment after another, which keeps the overhead per
trial small. With one worker, the group is the calling process (`InProcessGroup`, here); with several, it is one
long-lived Ray Train run (`ray_train_group.py`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import closing

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.keeping import Keeper
from distill_tune.tuning.workers.occupied_gpu import OccupiedGpu
from distill_tune.users_faults import no_end_of_the_process

_CONTEXT_BYTES = 512 << 20
"""About what CUDA itself takes of a GPU for each process, which the limit of PyTorch does not count."""


class WorkersAreNotUp(Exception):
    """A group is waiting for its workers, e.g. for places on a busy cluster; the request may be repeated.

    Its message, if it has one, says what is waited for.
    """


class WorkerGroup(ABC):
    """Trains one assignment at a time, with one report per epoch."""

    @abstractmethod
    def start(self) -> None:
        """Get the workers ready; called once."""

    @abstractmethod
    def assign(self, assignment: Assignment) -> None:
        """Start another student, dropping the current one. Workers that were shut down are restarted."""

    @abstractmethod
    def next_report(self) -> Report:
        """Train one epoch and return its report.

        Raises:
            WorkersAreNotUp: they wait for their places; ask again after checking for other work.
            TrainingError: the training has diverged; whatever else the training raised.
        """

    @abstractmethod
    def shutdown(self) -> None:
        """End the workers and release everything that they hold."""


class InProcessGroup(WorkerGroup):
    """One worker: this process."""

    def __init__(self, resources: ResourcesConfig):
        self._resources = resources
        self._assignment: Assignment | None = None
        self._reports: Generator[Report, None, None] | None = None

    def start(self) -> None:
        """Load torch and the training loop, so that the first trial need not wait for them."""
        import distill_tune.distillation.training.loop  # noqa: F401

    def assign(self, assignment: Assignment) -> None:
        """Switch to the assignment; its files are opened, and errors in them raised, with the first report."""
        self.shutdown()
        self._gpu = OccupiedGpu(self._resources)
        self._assignment, self._reports = assignment, self._training(assignment)

    def _training(self, assignment: Assignment) -> Generator[Report, None, None]:
        keep_to_share(self._resources)
        yield from train(assignment, self._resources.device)

    def next_report(self) -> Report:
        """Train one epoch; after the last one, everything of the assignment is released.

        If other programs occupy the GPU, the training starts again from its checkpoint with the next call.
        """
        assert self._reports is not None, "assigned before"
        assert self._assignment is not None
        try:
            report = next(self._reports)
        except RuntimeError as error:
            if not self._gpu.allow_another_try(error):
                raise
        else:
            self._gpu.reached(self._assignment.trial_id, report["epoch"])
            if report["epoch"] >= self._assignment.max_epochs:
                self.shutdown()
            return report
        self._reports = self._training(self._assignment)
        raise WorkersAreNotUp(self._gpu.pause())

    def shutdown(self) -> None:
        """Close the training, if one is open."""
        if self._reports is not None:
            self._reports.close()
        self._assignment = self._reports = None


def keep_to_share(resources: ResourcesConfig) -> None:
    """Limit this process to its share of the cores, and of the memory of a shared GPU."""
    import torch

    torch.set_num_threads(resources.cpus_per_worker)
    share = resources.gpus_per_worker
    if 0 < share < 1 and torch.cuda.is_available():
        _, whole = torch.cuda.mem_get_info()
        torch.cuda.set_per_process_memory_fraction(max(share / 2, share - _CONTEXT_BYTES / whole))


def train(
    assignment: Assignment, device: str, is_first: bool = True, found: bytes | None = None
) -> Generator[Report, None, None]:
    """Train an assignment in this process, as one of its workers.

    Args:
        assignment: what to train.
        device: where to train.
        is_first: whether this is the first worker, which writes the files.
        found: the checkpoint to resume from, if another worker has read it; empty if there is none.

    Raises:
        TrainingError: the loss is not finite, or a user-defined part would end the process.
    """
    from distill_tune.distillation.training.folds import train_students

    keeper = Keeper(assignment, found, writes=is_first)
    yield from keeper.reports  # the caller may have heard of none or some of them
    refit = assignment.keep is not None
    config, prepared = assignment.config, assignment.prepared_here
    training = train_students(config, prepared, assignment.seed, device, keeper.resume, refit)
    with no_end_of_the_process(), closing(training) as epochs:
        for epoch in epochs:
            keeper.keep(epoch.report, epoch.checkpoint, epoch.students.student, epoch.students.folds)
            yield epoch.report
