"""Workers that train nothing, and a space of seven parameters for them: they show the search's own overhead."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from distill_tune.config.searching import ResourcesConfig
from distill_tune.tuning.state.records import Report
from distill_tune.tuning.workers.assignment import Assignment
from distill_tune.tuning.workers.worker_group import WorkerGroup

EPOCHS = 4
SPACE: dict[str, Any] = {
    "data": {"source": "digits"},
    "teacher": {"source": "train", "family": "mlp", "mlp": {"widths": [16]}, "views": 1, "train": {"epochs": 1}},
    "student": {
        "family": "mlp",
        "mlp": {"widths": {"choice": [[8], [16], [24], [16, 16]]}, "activation": {"choice": ["relu", "gelu"]}},
    },
    "loss": {"temperature": {"log": [1.0, 10.0]}, "soft_weight": {"uniform": [0.0, 1.0]}},
    "optim": {
        "learning_rate": {"log": [1e-3, 1e-1]},
        "weight_decay": {"log": [1e-5, 1e-1]},
        "label_smoothing": {"uniform": [0.0, 0.2]},
    },
}


class IdleGroup(WorkerGroup):
    """Reports what a student might have reached, without training one."""

    def start(self) -> None:
        """Make every report a separate Tune step."""
        from distill_tune.tuning.workers import trial

        trial.STEP_S = 0.0

    def assign(self, assignment: Assignment) -> None:
        """Start another student."""
        self._config, self._epoch = assignment.config, 0

    def next_report(self) -> Report:
        """As many numbers as a real report has; the accuracy is a smooth function of four parameters."""
        self._epoch += 1
        loss, optim = self._config.loss, self._config.optim
        miss = math.log10(optim.learning_rate / 0.01) ** 2 + math.log(loss.temperature / 4) ** 2
        accuracy = math.exp(-miss / 4 - (loss.soft_weight - 0.7) ** 2) * self._epoch / EPOCHS
        numbers = ("train/loss", "train/hard_loss", "train/soft_loss", "val/loss", "val/ece", "val/nll", "val/kl")
        shares = ("train/accuracy", "val/agreement", "gap/accuracy", "learning_rate", "train/samples_per_s")
        return {
            "epoch": self._epoch,
            "val/accuracy": accuracy,
            **dict.fromkeys(numbers, 1 - accuracy),
            **dict.fromkeys(shares, accuracy),
            "time/began_s": time.time(),
            "time/training_s": 1e-6,
        }

    def shutdown(self) -> None:
        """Do nothing; nothing is held."""


def idle(resources: ResourcesConfig, folder: Path, name: str, retries: int) -> WorkerGroup:
    """For `TrialContext.group_of`."""
    return IdleGroup()
