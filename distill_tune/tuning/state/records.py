"""One trial as everybody knows it: what was tried, how far it came, how it stands, and by what trials are ranked."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from distill_tune.config.searching import COSTS

Report = dict[str, float]
"""One epoch of one trial: "epoch", "val/accuracy", "train/loss", ...; numbers only."""


class News(NamedTuple):
    """What a training says of itself between two decisions on it."""

    trial_id: str
    reports: list[Report]
    """Of its latest epochs."""
    failure: str | None = None
    """Why it has failed, if it has."""


def _with_shared_names(report: Report) -> Report:
    """The same; its names, which came from another process or a file, are one copy for all reports: a third of it."""
    return {sys.intern(name): value for name, value in report.items()}


def sign_of(objective: str) -> int:
    """1 where larger is better, -1 where smaller is."""
    return -1 if objective.endswith("loss") or objective in COSTS else 1


def merit_of(report: Report, objective: str) -> tuple[float, float]:
    """By what everybody ranks, the larger the better: the objective, and where that is equal the validation loss."""
    return sign_of(objective) * report[objective], tie_break_of(report)


def tie_break_of(report: Report) -> float:
    """By what trials rank where the objective is equal; larger is better."""
    return -report.get("val/loss", math.inf)


def scores_of(record: TrialRecord, report: Report, objectives: Sequence[str]) -> tuple[float, ...]:
    """A trial at a report by each objective, the larger the better."""
    return tuple(sign_of(objective) * record.value_of(objective, report) for objective in objectives)


CONFIRMATION = "confirm-"
"""How the names of confirmation runs begin."""


class Status(StrEnum):
    """Where a trial stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    """Trained to max_epochs."""
    PAUSED = "paused"
    """Waits at a rung, and goes on if it comes to be among the best there."""
    STOPPED = "stopped"
    """Ended at a rung, because others were better."""
    FAILED = "failed"
    """Diverged or raised."""
    INFEASIBLE = "infeasible"
    """Over a limit; never trained."""
    INTERRUPTED = "interrupted"
    """Running when the user or a budget ended the search."""


@dataclass
class TrialRecord:
    """What is known of one trial."""

    number: int
    """Optuna's number of the trial."""
    trial_id: str
    """Name of its TensorBoard run: "0007" for a trial, "confirm-trial-0007-seed1000" for a confirmation."""
    values: dict[str, Any]
    """Sampled values by dotted name."""
    group: str = ""
    """Runs of one configuration with other seeds share it."""
    parameters: int = 0
    multiply_adds: int = 0
    latency_ms: float | None = None
    """Median time of one sample on one thread of this machine; only where it is an objective or has a limit."""
    status: Status = Status.RUNNING
    started_s: float = field(default_factory=time.time)
    """When it began, in seconds since 1970, as the next two are."""
    ended_s: float | None = None
    """When it ended, or paused last."""
    paused_s: float | None = None
    """When it paused first."""
    rungs: list[int] = field(default_factory=list)
    """The rungs (in epochs) that the trial has reached."""
    reports: list[Report] = field(default_factory=list)
    heard_s: dict[int, float] = field(default_factory=dict)
    """Epoch to when the driver heard of it first, in seconds since 1970."""
    message: str = ""
    """Why it failed, in one line."""
    goes_on_later: bool = False
    """It was interrupted by the user's wish, and `--resume` takes it up again."""

    def begin(self) -> None:
        """It trains, or trains on."""
        self.status, self.ended_s = Status.RUNNING, None

    def reach(self, report: Report, is_rung: bool, at_s: float) -> None:
        """It has finished an epoch, and with it perhaps a rung; the driver has heard of it at `at_s`.

        One that is trained again, such as for a student whose file is gone, has no epochs of before beyond it.
        """
        self.status = Status.RUNNING
        while self.epochs >= report["epoch"]:
            self.reports.pop()
        self.reports.append(_with_shared_names(report))
        self.heard_s.setdefault(self.epochs, at_s)
        if is_rung:
            self.rungs.append(self.epochs)

    def pause(self, at_s: float) -> None:
        """It waits at a rung since `at_s`."""
        self.status, self.ended_s = Status.PAUSED, at_s
        self.paused_s = self.paused_s or at_s

    def end(self, status: Status, message: str, at_s: float | None) -> None:
        """It has ended, at `at_s`."""
        self.status, self.message, self.ended_s = status, message, at_s

    @property
    def is_confirmation(self) -> bool:
        """Whether this is a fresh-seed run of a candidate or baseline, and no trial of the search."""
        return self.trial_id.startswith(CONFIRMATION)

    @property
    def is_usable(self) -> bool:
        """Whether it has been trained, and has not failed."""
        return bool(self.reports) and self.status is not Status.FAILED

    @property
    def first_end_s(self) -> float | None:
        """When it paused first, or ended without a pause; None before."""
        return self.ended_s if self.paused_s is None else self.paused_s

    @property
    def epochs(self) -> int:
        """Epochs trained."""
        return int(self.reports[-1]["epoch"]) if self.reports else 0

    @property
    def last(self) -> Report:
        """The latest report; empty before the first."""
        return self.reports[-1] if self.reports else {}

    @property
    def training_s(self) -> float:
        """Seconds inside training and validation steps, as its workers measured them."""
        return sum(report.get("time/training_s", 0.0) for report in self.reports)

    @property
    def rung(self) -> int | None:
        """The highest rung (in epochs) that the trial has reached."""
        return max(self.rungs, default=None)

    def value_of(self, objective: str, report: Report) -> float:
        """An objective at a report: of it, or of the student; NaN where nobody has said."""
        value = getattr(self, objective) if objective in COSTS else report.get(objective)
        return math.nan if value is None else float(value)

    def rung_values(self, objective: str) -> dict[int, float]:
        """Epoch to objective at each rung that the trial has reached, and after its last epoch."""
        kept = {*self.rungs, self.epochs}
        return {int(r["epoch"]): self.value_of(objective, r) for r in self.reports if int(r["epoch"]) in kept}
