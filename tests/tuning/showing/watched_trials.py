"""Trials reported to watchers, and consoles that keep their output."""

import io
from typing import Any

from rich.console import Console

from distill_tune.tuning.showing.progress import ProgressWatcher
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def console(terminal: bool, width: int = 80) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=width, color_system=None)


def said(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def trial(number: int, **others: Any) -> TrialRecord:
    values = {"student.family": "mlp", "student.mlp.widths": [20, 20, 20], "loss.temperature": 3.21}
    return TrialRecord(number, f"{number:04d}", values, parameters=8450, **others)


def run(ledger: Ledger, record: TrialRecord, accuracies: list[float], status: Status | None, message: str = "") -> None:
    ledger.start(record)
    for epoch, accuracy in enumerate(accuracies, 1):
        ledger.report(record.trial_id, {"epoch": epoch, "val/accuracy": accuracy}, is_rung=epoch in (1, 3))
    if status is not None:
        ledger.end(record, status, message)


def watched(on: Console, clock: Clock, total: int = 64, **others: Any) -> tuple[Ledger, ProgressWatcher]:
    watcher = ProgressWatcher(on, "val/accuracy", total, clock=clock, **others)
    return Ledger(watchers=[watcher]), watcher


def lines(on: Console) -> list[str]:
    return said(on).splitlines()
