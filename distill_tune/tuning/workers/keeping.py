"""What a training leaves on the disk: a checkpoint from time to time, and its students at the end.

A checkpoint stays until the ledger knows that its training has ended for good: whoever trained it may be gone before
what it said last was heard.
"""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.atomic import new_file
from distill_tune.errors import StorageError
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Report, Status, TrialRecord
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.weights import write_weights

if TYPE_CHECKING:
    from torch import nn

CHECKPOINTS = "checkpoints"
"""The folder of a search in which trainings at work keep their checkpoints, each until it ends."""
CHECKPOINT_EVERY_S = 5.0
"""A killed worker costs at most so much training; taken at the first end of an epoch after it."""
_DIGEST_BYTES = hashlib.sha256().digest_size


class Keeper:
    """Keeps what a training has come to, and finds what a process before this one has kept of it."""

    def __init__(self, assignment: Assignment, found: bytes | None = None, writes: bool = True):
        """`found` is the checkpoint that was read; it is read here unless given. One of several workers `writes`."""
        self._assignment, self._writes = assignment, writes
        resume = _opened(read_checkpoint(assignment.checkpoint) if found is None else found)
        self.reports: list[Report] = resume.pop("reports", [])
        """Reports of all epochs of the training."""
        self.resume = resume or None
        """What its next epoch begins with; None at its beginning."""
        self._saved_s = time.monotonic()

    def keep(
        self, report: Report, checkpoint: Callable[[], Any], student: nn.Module, folds: Sequence[nn.Module] = ()
    ) -> None:
        """After each epoch: its report, and on the disk what outlives this process.

        Raises:
            StorageError: the students of a training that has come to its end cannot be written.
        """
        self.reports.append(report)
        if not self._writes:
            return
        if report["epoch"] >= self._assignment.max_epochs:
            self._keep_students(student, folds)
        elif self._assignment.checkpoint is not None and self._is_due(report):
            write_checkpoint(self._assignment.checkpoint, {**checkpoint(), "reports": self.reports})
            self._saved_s = time.monotonic()

    def _keep_students(self, student: nn.Module, folds: Sequence[nn.Module]) -> None:
        keep = self._assignment.keep
        if keep is None:
            return
        try:
            for number, each in enumerate(folds):
                write_weights(fold_weights(keep, number), each.state_dict())
            write_weights(keep, student.state_dict())
        except OSError as error:
            where, why = f"{keep.parent.name}/{keep.name}", error.strerror or str(error)
            raise StorageError(f"{where} cannot be written ({why}); make room, --resume takes it up.") from error

    def _is_due(self, report: Report) -> bool:
        return report["epoch"] in self._assignment.pauses or time.monotonic() - self._saved_s > CHECKPOINT_EVERY_S


class CheckpointSweeper(Watcher):
    """Deletes the checkpoint of each training that has ended for good."""

    def __init__(self, folder: Path):
        self._folder = folder

    def trial_known(self, record: TrialRecord) -> None:
        """A training of an earlier session, which may have been killed before it swept."""
        if record.status is not Status.PAUSED:
            self.trial_ended(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """A training that has ended leaves one behind."""
        if not record.goes_on_later:
            checkpoint_of(self._folder, record.trial_id).unlink(missing_ok=True)

    def close(self) -> None:
        """What killed writers have left half written goes, and the folder with the last checkpoint."""
        folder = self._folder / CHECKPOINTS
        for half in folder.glob(".*"):
            half.unlink(missing_ok=True)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()


def checkpoint_of(folder: Path, trial_id: str) -> Path:
    """Where a training keeps its checkpoint in the folder of its search."""
    return folder / CHECKPOINTS / f"{trial_id}.pt"


def drop_checkpoints_of_others(folder: Path, trial_ids: Collection[str]) -> None:
    """Delete the checkpoints of trainings that a search knows nothing of.

    Where entries of its logbook were lost, another trial gets the number of one that was in them, and must not go on
    from where that one had come to.
    """
    for checkpoint in (folder / CHECKPOINTS).glob("*.pt"):
        if checkpoint.stem not in trial_ids:
            checkpoint.unlink(missing_ok=True)


def fold_weights(keep: Path, number: int) -> Path:
    """Where the student of a fold is, beside the one that was trained on all folds."""
    return keep.with_name(f"{keep.stem}-fold{number + 1}{keep.suffix}")


def write_checkpoint(path: Path, checkpoint: dict[str, Any]) -> None:
    """The checkpoint behind the digest of its bytes.

    Where there is no room for it there is none, or an older one: a training that is taken up again then repeats more of
    itself. It is no fault of the training; a search whose disk is full ends when its logbook can no longer be written.
    """
    import torch

    content = io.BytesIO()
    torch.save(checkpoint, content)
    with suppress(OSError), new_file(path) as temporary:
        temporary.write_bytes(hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def read_checkpoint(path: Path | None) -> bytes:
    """The checkpoint; empty where there is none, or a damaged one: then the training begins anew."""
    if path is None or not path.exists():
        return b""
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else b""


def _opened(content: bytes) -> dict[str, Any]:
    """On the CPU: whoever resumes copies each part to where it belongs, and an optimizer's steps are counted there."""
    if not content:
        return {}
    import torch

    checkpoint: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return checkpoint
