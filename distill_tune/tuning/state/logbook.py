"""The logbook, `ledger.jsonl`: what happened to every trial, one entry per line, so that a search survives its process.

Every entry is handed to the kernel before the search continues, so it survives `kill -9`. Entries about the start,
pause or end of a trial also record the length of the study's journal at that time. Whatever the journal has beyond the
last such entry is unfinished (a half-proposed trial) and is truncated on resume, so logbook and journal agree at all
times.

The open logbook is locked: one search, one program.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any

from distill_tune.errors import ConfigError
from distill_tune.tuning.state.appender import Appender
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.records import Report, TrialRecord

LOGBOOK = "ledger.jsonl"
JOURNAL = "study.journal"
"""The Optuna study's journal, next to the logbook."""
OFTEN = ("status", "reports", "heard_s", "rungs", "message", "ended_s", "paused_s", "goes_on_later")
"""Fields of a record that have separate entries."""


class Entry(StrEnum):
    """Kinds of entries, by their name on disk; `History` reads every one."""

    SESSION = "session"
    """A program has claimed the folder; the first such entry records the data and teachers of the search."""
    SEARCHING = "searching"
    """Trials train from here on; the entry has the number of places."""
    STARTED = "started"
    """A trial or a confirmation run has started; the next three likewise apply to both."""
    REPORTED = "reported"
    PAUSED = "paused"
    ENDED = "ended"
    SEARCHED = "searched"
    """The search phase is over, and why; confirmation follows."""
    CONFIRMING = "confirming"
    TEST_OPENED = "test opened"
    FINISHED = "finished"
    """There is a verdict."""
    FAILED = "failed"
    """There was no usable result."""
    EXTENDED = "extended"
    """More trials were requested."""

    @classmethod
    def _missing_(cls, value: object) -> Entry | None:
        return cls.SESSION if value == "sitting" else None  # the original name of a session


class HeldError(ConfigError):
    """A folder belongs to another search."""


class Logbook(Watcher):
    """Writes a search's logbook; created once per session."""

    is_essential = True

    def __init__(self, folder: Path):
        """Claim the folder's logbook, a new one or that of a search to resume.

        Raises:
            HeldError: another program has it.
            ConfigError: files there cannot be locked.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._file = (folder / LOGBOOK).open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            if not isinstance(error, BlockingIOError):
                why = error.strerror or str(error)
                raise ConfigError(f"{folder}: files there cannot be locked ({why}); mount it with locks.") from error
            raise HeldError(
                f"--name {folder.name}: another program is at work in {folder}; choose another name or wait."
            ) from error
        self._appender, self._known = Appender(), set[str]()
        self.study_bytes: Callable[[], int] = lambda: 0
        """Length of the study's journal; raises OSError if an entry is missing from it."""

    def knows(self, trial_ids: Iterable[str]) -> None:
        """Note the trainings that are already in the logbook from earlier sessions."""
        self._known.update(trial_ids)

    def cut(self, num_bytes: int) -> None:
        """Truncate the logbook, dropping what an earlier session could not finish writing."""
        os.truncate(self._file.fileno(), num_bytes)

    def release(self) -> None:
        """Release the lock, so that another program can claim the folder."""
        self._file.close()

    def discard(self) -> None:
        """Delete the logbook, and the folder if nothing else is in it."""
        (self.folder / LOGBOOK).unlink(missing_ok=True)
        self.release()
        with suppress(OSError):  # not empty
            self.folder.rmdir()

    def write(self, entry: Entry, **content: Any) -> None:
        """Append an entry, with the time in `at_s`: seconds since 1970.

        `monotonic_s` can be compared within a session only, but stands still while the machine is suspended.

        Raises:
            OSError: it cannot be written, or an earlier one could not.
        """
        times = {"at_s": time.time(), "monotonic_s": time.monotonic()}
        line = json.dumps({"entry": entry, **times, **content}, separators=(",", ":"), allow_nan=False)
        self._appender.append(self._file.fileno(), line.encode() + b"\n")

    def trial_started(self, record: TrialRecord) -> None:
        """Write one entry per trial, however often it is resumed."""
        if record.trial_id not in self._known:
            self._known.add(record.trial_id)
            self.write(Entry.STARTED, trial=_lasting(record), study_bytes=self.study_bytes())

    def trial_reported(self, record: TrialRecord) -> None:
        """Write one entry per epoch."""
        report = {name: _as_json(value) for name, value in record.last.items()}
        is_rung = record.epochs in record.rungs
        self.write(Entry.REPORTED, trial_id=record.trial_id, report=report, is_rung=is_rung)

    def trial_paused(self, record: TrialRecord) -> None:
        """Write that it is paused, which holds until its next report."""
        self.write(Entry.PAUSED, trial_id=record.trial_id, study_bytes=self.study_bytes())

    def trial_ended(self, record: TrialRecord) -> None:
        """Write its end, unless it will be resumed; a trial that never started gets a single entry."""
        if record.goes_on_later:
            return
        who = {"trial_id": record.trial_id} if record.trial_id in self._known else {"trial": _lasting(record)}
        how = {"status": str(record.status), "message": record.message, "ended_s": record.ended_s}
        self._known.add(record.trial_id)
        self.write(Entry.ENDED, **who, **how, study_bytes=self.study_bytes())


def _lasting(record: TrialRecord) -> dict[str, Any]:
    fields = {name: value for name, value in asdict(record).items() if name not in OFTEN}
    return fields if record.latency_ms is not None else {n: v for n, v in fields.items() if n != "latency_ms"}


def _as_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def as_report(numbers: dict[str, Any]) -> Report:
    """The report as it was before `trial_reported` wrote it: JSON has no NaN."""
    return {name: float(value) if isinstance(value, str) else value for name, value in numbers.items()}
