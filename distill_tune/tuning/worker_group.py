"""What trains a trial: a group of workers with four verbs, `start`, `assign`, `next_report` and `shutdown`.

A group outlives its trials: it is started once and given one assignment after another, which is what makes a trial's
own cost small. With one worker the group is the process that asks (`InProcessGroup`, here); with several it is one
long-lived Ray Train run (`ray_train_group.py`).
"""

from __future__ import annotations

import hashlib
import io
import time
from abc import abstractmethod
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill_tune.atomic import new_file
from distill_tune.config import Config
from distill_tune.distillation.prepared import Prepared
from distill_tune.tuning.records import Report
from distill_tune.weights import write_weights

CHECKPOINT_EVERY_S = 5.0
"""A killed worker costs at most so much training; taken at the first end of an epoch after it."""

_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Assignment:
    """One student to train."""

    trial_id: str
    config: Config
    seed: int
    prepared: Prepared
    checkpoint: Path | None = None
    """Where to keep a checkpoint, and to resume from if there is one."""
    keep: Path | None = None
    """Where to write the student's weights (safetensors) after the last epoch; with folds, a student is trained on all
    of them for this, and each fold's is written beside it."""
    pauses: frozenset[int] = frozenset()
    """Epochs after which the training may be left for good or for a while, so that a checkpoint is kept of each."""

    def is_checkpoint_due(self, report: Report, saved_s: float) -> bool:
        """Whether to keep a checkpoint after the epoch of `report`; the last was kept at `saved_s` (monotonic)."""
        return report["epoch"] in self.pauses or time.monotonic() - saved_s > CHECKPOINT_EVERY_S


class WorkerGroup:
    """Trains one assignment at a time, an epoch a report."""

    def start(self) -> None:
        """Make the workers ready; called once."""

    @abstractmethod
    def assign(self, assignment: Assignment) -> None:
        """Begin another student; what was at work is dropped."""

    @abstractmethod
    def next_report(self) -> Report:
        """Train one epoch and say how it went.

        Raises:
            TrainingError: the training has diverged; whatever else the training raised.
        """

    def shutdown(self) -> None:
        """End the workers and everything that they hold."""


class InProcessGroup(WorkerGroup):
    """One worker: this process."""

    def __init__(self, num_threads: int, num_gpus: float):
        self._num_threads, self._num_gpus = num_threads, num_gpus
        self._reports: Generator[Report, None, None] | None = None

    def start(self) -> None:
        """Load torch and the loop, and keep to this trial's share of the cores."""
        import torch

        import distill_tune.distillation.loop  # noqa: F401  so that the first trial need not wait for it

        torch.set_num_threads(self._num_threads)

    def assign(self, assignment: Assignment) -> None:
        """Open the files of the assignment; nothing is trained yet."""
        self.shutdown()
        self._reports = train(assignment, "cuda" if self._num_gpus else "cpu")

    def next_report(self) -> Report:
        """Train one epoch."""
        assert self._reports is not None, "assigned before"
        return next(self._reports)

    def shutdown(self) -> None:
        """Close the training, if one is open."""
        if self._reports is not None:
            self._reports.close()
        self._reports = None


def train(assignment: Assignment, device: str, is_first: bool = True) -> Generator[Report, None, None]:
    """Train an assignment in this process, as one of its workers; `is_first` worker writes the files.

    Raises:
        TrainingError: the loss is not finite.
    """
    from distill_tune.distillation.folds import train_students

    keep = assignment.keep
    resume = read_checkpoint(assignment.checkpoint, device)
    reports: list[Report] = resume.pop("reports", [])
    yield from reports  # whoever asks may have been told of none of them, or of some
    saved_s = time.monotonic()
    with closing(
        train_students(
            assignment.config, assignment.prepared, assignment.seed, device, resume or None, keep is not None
        )
    ) as epochs:
        for epoch in epochs:
            reports.append(epoch.report)
            is_last = epoch.report["epoch"] >= assignment.config.search.max_epochs
            if is_first and is_last and keep is not None:
                for number, student in enumerate(epoch.students.folds):
                    write_weights(fold_weights(keep, number), student.state_dict())
                write_weights(keep, epoch.students.student.state_dict())
            elif is_first and assignment.checkpoint and assignment.is_checkpoint_due(epoch.report, saved_s):
                write_checkpoint(assignment.checkpoint, {**epoch.checkpoint(), "reports": reports})
                saved_s = time.monotonic()
            yield epoch.report
    if is_first and assignment.checkpoint is not None:
        assignment.checkpoint.unlink(missing_ok=True)


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


def read_checkpoint(path: Path | None, device: str) -> dict[str, Any]:
    """The checkpoint; empty where there is none, or a damaged one: then the training begins anew."""
    import torch

    if path is None or not path.exists():
        return {}
    whole = memoryview(path.read_bytes())
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        return {}
    checkpoint: dict[str, Any] = torch.load(io.BytesIO(content), map_location=device, weights_only=True)
    return checkpoint
