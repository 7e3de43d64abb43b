"""The ledger: one record a trial, and whoever wants to watch it grow.

Everything that a search shows or leaves behind about its trials (display, TensorBoard, trials.parquet, summary.json) is
read from these records, so they can never disagree.
"""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from distill_tune.config.searching import COSTS
from distill_tune.errors import one_line

Report = dict[str, float]
"""One epoch of one trial: "epoch", "val/accuracy", "train/loss", ...; numbers only."""
Told = tuple[str, list[Report], str | None]
"""What a training in a lane says: its name, its latest epochs, and why it failed if it did."""


def with_shared_names(report: Report) -> Report:
    """The same; its names, which came from another process or a file, are one copy for all reports: a third of it."""
    return {sys.intern(name): value for name, value in report.items()}


def sign_of(objective: str) -> int:
    """1 where larger is better, -1 where smaller is."""
    return -1 if objective.endswith("loss") or objective in COSTS else 1


def merit_of(report: Report, objective: str) -> tuple[float, float]:
    """By what everybody ranks, the larger the better: the objective, and where that is equal the validation loss."""
    return sign_of(objective) * report[objective], -report.get("val/loss", math.inf)


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
    """Median time of one sample on one thread of this machine; only where it is an objective."""
    status: Status = Status.RUNNING
    started_s: float = field(default_factory=time.time)
    ended_s: float | None = None
    """When it ended, or paused last."""
    paused_s: float | None = None
    """When it paused first."""
    rungs: list[int] = field(default_factory=list)
    """The rungs (in epochs) that the trial has reached."""
    reports: list[Report] = field(default_factory=list)
    message: str = ""
    """Why it failed, in one line."""
    goes_on_later: bool = False
    """It was interrupted by the user's wish, and `--resume` takes it up again."""

    @property
    def is_confirmation(self) -> bool:
        """Whether this is a fresh-seed run of a candidate or baseline, and no trial of the search."""
        return self.trial_id.startswith(CONFIRMATION)

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


class Watcher:
    """Someone who is told what happens to trials; every method does nothing unless overridden."""

    is_essential = False
    """Whether the search must end when this one can no longer write its files."""

    def trial_known(self, record: TrialRecord) -> None:
        """A trial that had ended or paused before this search was taken up again."""

    def trial_started(self, record: TrialRecord) -> None:
        """A trial is about to train."""

    def trial_reported(self, record: TrialRecord) -> None:
        """A trial has finished an epoch; `record.last` is its report."""

    def trial_paused(self, record: TrialRecord) -> None:
        """A trial waits at a rung: it may be started again, and will be ended."""

    def trial_ended(self, record: TrialRecord) -> None:
        """A trial has ended; `record.status` says how. Infeasible trials end without having started."""

    def close(self) -> None:
        """The search is over, however it ended."""


class Ledger:
    """All records of a search, in the order in which trials were proposed."""

    def __init__(
        self,
        objective: str = "val/accuracy",
        watchers: Iterable[Watcher] = (),
        say: Callable[[str], None] = lambda line: None,
        further: Sequence[str] = (),
    ):
        """`say` hears of a watcher that is given up; `further` are the objectives after the first."""
        self.objective = objective
        self.objectives = (objective, *further)
        self.sign = sign_of(objective)
        self.watchers = list(watchers)
        self.records: dict[str, TrialRecord] = {}
        self.say = say
        self._counts: Counter[Status] = Counter()

    def know(self, record: TrialRecord) -> None:
        """A trial that had ended or paused in an earlier sitting."""
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_known(record))

    def start(self, record: TrialRecord) -> None:
        """A trial is about to train, or to train on."""
        self._leave(record)
        record.status, record.ended_s = Status.RUNNING, None
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_started(record))

    def report(self, trial_id: str, report: Report, is_rung: bool = False) -> None:
        """A trial has finished an epoch, and with it perhaps a rung."""
        record = self.records[trial_id]
        record.reports.append(with_shared_names(report))
        if is_rung:
            record.rungs.append(record.epochs)
        self._tell(lambda watcher: watcher.trial_reported(record))

    def pause(self, record: TrialRecord) -> None:
        """A trial waits at a rung."""
        self._leave(record)
        record.status, record.ended_s = Status.PAUSED, time.time()
        record.paused_s = record.paused_s or record.ended_s
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_paused(record))

    def end(self, record: TrialRecord, status: Status, message: str = "") -> None:
        """A trial has ended (or was found infeasible and never started)."""
        self._leave(record)
        if record.status is not Status.PAUSED:  # else nobody has been at work on it since
            record.ended_s = time.time()
        record.status, record.message = status, message
        self._enter(record)
        self._tell(lambda watcher: watcher.trial_ended(record))

    def _enter(self, record: TrialRecord) -> None:
        self.records[record.trial_id] = record
        self._counts[record.status] += 1

    def _leave(self, record: TrialRecord) -> None:
        if record.trial_id in self.records:
            self._counts[record.status] -= 1

    def count(self, *statuses: Status) -> int:
        """How many trials stand so; without arguments, all."""
        return sum(self._counts[status] for status in statuses or Status)

    def scores(self, record: TrialRecord, report: Report) -> tuple[float, ...]:
        """As `scores_of`, by this search's objectives."""
        return scores_of(record, report, self.objectives)

    def ranked(self) -> list[TrialRecord]:
        """Trained, not failed trials, the best first: by the first objective after the last epoch, then by val/loss."""
        able = [r for r in self.records.values() if r.reports and r.status is not Status.FAILED]
        return sorted(able, key=lambda record: merit_of(record.last, self.objective), reverse=True)

    @property
    def incumbent(self) -> TrialRecord | None:
        """The best trial so far."""
        return next(iter(self.ranked()), None)

    def close(self) -> None:
        """Tell the watchers that the search is over."""
        self._tell(lambda watcher: watcher.close())

    def _tell(self, what: Callable[[Watcher], None]) -> None:
        """Tell every watcher; one that cannot write is given up, for what is shown must not end what is searched."""
        for watcher in list(self.watchers):
            try:
                what(watcher)
            except OSError as error:
                if watcher.is_essential:
                    raise
                self.watchers.remove(watcher)
                self.say(f"warning: {type(watcher).__name__} is given up: {one_line(error)}")
