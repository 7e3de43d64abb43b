"""Checkpoint files of trainings at work: where they are, what is in them, and who deletes them.

A checkpoint stays until the ledger knows that its training has ended for good: whoever trained it may be gone before
what it said last was heard.
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
"""The folder of a search in which trainings at work keep their checkpoints, each until it ends."""
_DIGEST_BYTES = hashlib.sha256().digest_size


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


def write_checkpoint(path: Path, checkpoint: dict[str, Any], files: Files) -> None:
    """The checkpoint behind the digest of its bytes.

    Where there is no room for it there is none, or an older one: a training that is taken up again then repeats more of
    itself. It is no fault of the training; a search whose disk is full ends when its logbook can no longer be written.
    """
    import torch

    content = io.BytesIO()
    torch.save(checkpoint, content)
    with suppress(OSError):
        files.write(path, hashlib.sha256(content.getbuffer()).digest() + content.getbuffer())


def read_checkpoint(path: Path | None, files: Files) -> bytes:
    """The checkpoint; empty where there is none, or a damaged one: then the training begins anew."""
    whole = b"" if path is None else files.read(path)
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else b""


def opened(content: bytes) -> dict[str, Any]:
    """What `read_checkpoint` has read, on the CPU.

    Whoever resumes copies each part to where it belongs, and an optimizer's steps are counted there.
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
