"""Checkpoint files of running trainings: where they are, what is in them, and when they are deleted.

A checkpoint stays until the ledger knows that its training has ended for good: the process that trained it may be gone
before its last report was heard.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.workers.files import Files

CHECKPOINTS = "checkpoints"
"""Subfolder of a search's folder with the checkpoints of unfinished trainings."""
_DIGEST_BYTES = hashlib.sha256().digest_size


def checkpoint_of(folder: Path, trial_id: str) -> Path:
    """Path of a training's checkpoint in the folder of its search."""
    return folder / CHECKPOINTS / f"{trial_id}.pt"


def drop_checkpoints_of_others(folder: Path, trial_ids: Collection[str]) -> None:
    """Delete the checkpoints of trainings unknown to a search.

    If logbook entries were lost, a new trial may get the number of a lost one, and must not resume from its checkpoint.
    """
    for checkpoint in (folder / CHECKPOINTS).glob("*.pt"):
        if checkpoint.stem not in trial_ids:
            checkpoint.unlink(missing_ok=True)


def write_checkpoint(path: Path, checkpoint: dict[str, Any], files: Files) -> None:
    """Write the checkpoint, preceded by the digest of its bytes.

    If the disk has no room, there is no checkpoint or an older one, and a resumed training repeats more epochs. That is
    not the training's fault; a search whose disk is full ends when its logbook can no longer be written.
    """
    import torch

    content = io.BytesIO()
    torch.save(checkpoint, content)
    with suppress(OSError):
        files.write(path, hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def read_checkpoint(path: Path | None, files: Files) -> bytes:
    """The checkpoint; empty if it is missing or damaged, in which case the training starts over."""
    whole = b"" if path is None else files.read(path)
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else b""


def opened(content: bytes) -> dict[str, Any]:
    """The checkpoint from the bytes that `read_checkpoint` returned, on the CPU.

    Resuming copies each part to its device; the optimizer's step counts stay on the CPU.
    """
    if not content:
        return {}
    import torch

    checkpoint: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    return checkpoint


class CheckpointSweeper(Watcher):
    """Deletes the checkpoint of each training that has ended for good."""

    def __init__(self, folder: Path):
        self._folder = folder

    def trial_known(self, record: TrialRecord) -> None:
        """Delete the checkpoint of an earlier session that was killed before it could."""
        if record.status is not Status.PAUSED:
            self.trial_ended(record)

    def trial_ended(self, record: TrialRecord) -> None:
        """Delete the checkpoint of a training that has ended for good."""
        if not record.goes_on_later:
            checkpoint_of(self._folder, record.trial_id).unlink(missing_ok=True)

    def close(self) -> None:
        """Delete the partial files of killed writers, and the folder if it is empty."""
        folder = self._folder / CHECKPOINTS
        for half in folder.glob(".*"):
            half.unlink(missing_ok=True)
        if folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
