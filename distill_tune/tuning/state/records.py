"""The record of one trial: its sampled values, progress and status, and how trials are ranked."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import accumulate, repeat
from operator import itemgetter
from typing import Any, NamedTuple

from distill_tune.config.searching import COSTS

Report = dict[str, float]
"""One epoch of one trial: "epoch", "val/accuracy", "train/loss", ...; numbers only."""


class News(NamedTuple):
    """What a training reports between two decisions about it."""

    trial_id: str
    reports: list[Report]
    """Reports of its latest epochs."""
    failure: str | None = None
    """Why it failed, if it did."""


def _with_shared_names(report: Report) -> Report:
    """The report with interned names, shared by all reports: this saves a third of its memory."""
    return {sys.intern(name): value for name, value in report.items()}


def sign_of(objective: str) -> int:
    """1 if larger is better, -1 if smaller is."""
    return -1 if objective.endswith("loss") or objective in COSTS else 1


def merit_of(report: Report, objective: str) -> tuple[float, float]:
    """The ranking key, larger is better: the objective, with ties broken by validation loss."""
    return sign_of(objective) * report[objective], tie_break_of(report)


def tie_break_of(report: Report) -> float:
    """The tie-breaker between equal objectives; larger is better."""
    return -report.get("val/loss", math.inf)


def scores_of(record: TrialRecord, report: Report, objectives: Sequence[str]) -> tuple[float, ...]:
    """A trial's score on each objective at a report; larger is better."""
    return tuple(sign_of(objective) * record.value_of(objective, report) for objective in objectives)


CONFIRMATION = "confirm-"
"""Prefix of the names of confirmation runs."""


class Status(StrEnum):
    """Status of a trial."""

    RUNNING = "running"
    COMPLETED = "completed"
    """Trained to max_epochs."""
    PAUSED = "paused"
    """Waits at a rung, and continues if it becomes one of the best there."""
    STOPPED = "stopped"
    """Ended at a rung, because others were better."""
    FAILED = "failed"
    """Diverged or raised."""
    INFEASIBLE = "infeasible"
    """Exceeds a limit; never trained."""
    INTERRUPTED = "interrupted"
    """Was running when the user or a budget ended the search."""


@dataclass
class TrialRecord:
    """All that is known about one trial."""

    number: int
    """Optuna's trial number."""
    trial_id: str
    """Name of its TensorBoard run: "0007" for a trial, "confirm-trial-0007-seed1000" for a confirmation."""
    values: dict[str, Any]
    """Sampled values by dotted name."""
    group: str = ""
    """Shared by runs of one configuration in different seeds."""
    parameters: int = 0
    multiply_adds: int = 0
    latency_ms: float | None = None
    """Median latency of one sample on one thread of this machine; set only if it is an objective or has a limit."""
    status: Status = Status.RUNNING
    started_s: float = field(default_factory=time.time)
    """When it began, in seconds since 1970, like the next two."""
    ended_s: float | None = None
    """When it ended or last paused."""
    paused_s: float | None = None
    """When it first paused."""
    rungs: list[int] = field(default_factory=list)
    """The rungs (in epochs) that the trial has reached."""
    reports: list[Report] = field(default_factory=list)
    heard_s: dict[int, float] = field(default_factory=dict)
    """Epoch to when the driver first heard of it, in seconds since 1970."""
    message: str = ""
    """Why it failed, in one line."""
    goes_on_later: bool = False
    """It was interrupted by the user, and `--resume` continues it."""

    def begin(self) -> None:
        """Note that it starts or continues training."""
        self.status, self.ended_s = Status.RUNNING, None

    def reach(self, report: Report, is_rung: bool, at_s: float) -> None:
        """Note a finished epoch, which may also complete a rung; the driver heard of it at `at_s`.

        If epochs are trained again, e.g. because a student file is gone, earlier reports from that epoch on are
        dropped.
        """
        self.status = Status.RUNNING
        while self.epochs >= report["epoch"]:
            self.reports.pop()
        self.reports.append(_with_shared_names(report))
        self.heard_s.setdefault(self.epochs, at_s)
        if is_rung:
            self.rungs.append(self.epochs)

    def pause(self, at_s: float) -> None:
        """Note that it has been waiting at a rung since `at_s`."""
        self.status, self.ended_s = Status.PAUSED, at_s
        self.paused_s = self.paused_s or at_s

    def end(self, status: Status, message: str, at_s: float | None) -> None:
        """Note that it ended at `at_s`."""
        self.status, self.message, self.ended_s = status, message, at_s

    @property
    def is_confirmation(self) -> bool:
        """Whether this is a fresh-seed run of a candidate or baseline, not a trial of the search."""
        return self.trial_id.startswith(CONFIRMATION)

    @property
    def is_usable(self) -> bool:
        """Whether it has finished an epoch and has not failed."""
        return bool(self.reports) and self.status is not Status.FAILED

    @property
    def first_end_s(self) -> float | None:
        """When it first paused, or ended without a pause; None until then."""
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
        """Seconds spent in training and validation steps, as measured by its workers."""
        return sum(report.get("time/training_s", 0.0) for report in self.reports)

    @property
    def rung(self) -> int | None:
        """The highest rung (in epochs) that the trial has reached."""
        return max(self.rungs, default=None)

    def value_of(self, objective: str, report: Report) -> float:
        """The value of an objective, from the report or the student's costs; NaN if unknown."""
        value = getattr(self, objective) if objective in COSTS else report.get(objective)
        return math.nan if value is None else float(value)

    def rung_values(self, objective: str) -> dict[int, float]:
        """Epoch to objective at each rung that the trial has reached, and after its last epoch."""
        kept = {*self.rungs, self.epochs}
        return {int(r["epoch"]): self.value_of(objective, r) for r in self.reports if int(r["epoch"]) in kept}


def as_they_came(records: Sequence[TrialRecord]) -> list[tuple[TrialRecord, Report]]:
    """All epochs of all trials in the order in which an earlier session received them and showed them to its judge.

    In another order, a trial that passed a rung because few had reached it might be stopped there now. Epochs of one
    trial keep their order even if a clock was set back or is another machine's.
    """
    every = list[tuple[float, TrialRecord, Report]]()
    for record in records:
        heard_s = (record.heard_s.get(int(report["epoch"]), 0.0) for report in record.reports)
        every += zip(accumulate(heard_s, max), repeat(record), record.reports)
    return [(record, report) for _, record, report in sorted(every, key=itemgetter(0))]
