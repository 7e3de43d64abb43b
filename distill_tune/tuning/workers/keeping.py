"""What a training leaves on the disk: a checkpoint from time to time, and its students at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.errors import StorageError
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.checkpoints import opened, read_checkpoint, write_checkpoint
from distill_tune.weights import as_safetensors

if TYPE_CHECKING:
    from torch import nn

CHECKPOINT_EVERY_S = 5.0
"""A killed worker loses at most about this much training; a checkpoint is taken at the first epoch end after it."""


class Keeper:
    """Saves the progress of a training, and restores what an earlier process saved."""

    def __init__(self, assignment: Assignment, found: bytes | None = None, writes: bool = True):
        """`found` is the checkpoint's content, read here if not given; only one of several workers `writes`."""
        self._assignment, self._writes = assignment, writes
        resume = opened(read_checkpoint(assignment.checkpoint, assignment.files) if found is None else found)
        self.reports: list[Report] = resume.pop("reports", [])
        """Reports of all epochs of the training."""
        self.resume = resume or None
        """State for its next epoch to resume from; None at the start."""
        self._saved_s = time.monotonic()

    def keep(
        self, report: Report, checkpoint: Callable[[], Any], student: nn.Module, folds: Sequence[nn.Module] = ()
    ) -> None:
        """Record an epoch's report, and save to disk what must outlive this process.

        Raises:
            StorageError: the students of a finished training cannot be written.
        """
        self.reports.append(report)
        if not self._writes:
            return
        if report["epoch"] >= self._assignment.max_epochs:
            self._keep_students(student, folds)
        elif self._assignment.checkpoint is not None and self._is_due(report):
            whole = {**checkpoint(), "reports": self.reports}
            write_checkpoint(self._assignment.checkpoint, whole, self._assignment.files)
            self._saved_s = time.monotonic()

    def _keep_students(self, student: nn.Module, folds: Sequence[nn.Module]) -> None:
        keep, files = self._assignment.keep, self._assignment.files
        if keep is None:
            return
        with _room_for(keep):
            for number, each in enumerate(folds):
                files.write(fold_weights(keep, number), as_safetensors(each.state_dict()))
            files.write(keep, as_safetensors(student.state_dict()))

    def _is_due(self, report: Report) -> bool:
        return report["epoch"] in self._assignment.pauses or time.monotonic() - self._saved_s > CHECKPOINT_EVERY_S


def copy_students(weights: Path, assignment: Assignment) -> None:
    """Copy the students at and next to `weights`, which are another assignment's, to this assignment's place.

    Raises:
        StorageError: they cannot be written.
    """
    assert assignment.keep is not None
    with _room_for(assignment.keep):
        for number in range(assignment.config.data.folds or 0):
            copy, original = fold_weights(assignment.keep, number), fold_weights(weights, number)
            assignment.files.write(copy, original.read_bytes())
        assignment.files.write(assignment.keep, weights.read_bytes())


@contextmanager
def _room_for(keep: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where, why = f"{keep.parent.name}/{keep.name}", error.strerror or str(error)
        raise StorageError(f"{where} cannot be written ({why}); make room, --resume takes it up.") from error


def fold_weights(keep: Path, number: int) -> Path:
    """Path of a fold's student, next to the one trained on all folds."""
    return keep.with_name(f"{keep.stem}-fold{number + 1}{keep.suffix}")
