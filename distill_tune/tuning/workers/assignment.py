"""An assignment: one student to train, and where what it leaves behind goes."""

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
    """Where to write the student's weights (safetensors) after the last epoch; with folds, a student is trained on all
    of them for this, and each fold's is written beside it."""
    pauses: frozenset[int] = frozenset()
    """Epochs after which the training may be left for good or for a while, so that a checkpoint is kept of each."""
    files: Files = HERE
    """How to come by all that is named here."""

    @property
    def prepared_here(self) -> Prepared:
        """Data and teacher where this process can map them."""
        return self.files.brought(self.prepared)

    @property
    def max_epochs(self) -> int:
        """The last epoch."""
        return self.config.search.max_epochs
