"""An assignment: one student to train, and where its outputs go."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from distill_tune.config import Config
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.tuning.workers.files import HERE, Files


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
    """Where to write the student's weights (safetensors) after the last epoch.

    With folds, the student written here is trained on all of them, and each fold's is written next to it.
    """
    pauses: frozenset[int] = frozenset()
    """Epochs after which the training may be paused or stopped, so a checkpoint is kept at each."""
    files: Files = HERE
    """Access to the files named here."""

    @property
    def prepared_here(self) -> Prepared:
        """Data and teacher in a place where this process can map them into memory."""
        return self.files.brought(self.prepared)

    @property
    def max_epochs(self) -> int:
        """The last epoch."""
        return self.config.search.max_epochs
