"""The logbook, `ledger.jsonl`: what happened to every trial, an entry a line, so that a search outlives its process.

Every entry is in the kernel's hands before the search goes on, so it outlives `kill -9`. An entry about a trial's
begin, pause or end also says how long the study's journal was when it was written: what the journal has beyond the last
such entry was begun and not finished (a trial half proposed), and is cut off when the search is taken up again. Logbook
and journal so tell the same story at any instant.

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
"""The study beside it."""
OFTEN = ("status", "reports", "heard_s", "rungs", "message", "ended_s", "paused_s", "goes_on_later")
"""Fields of a record that have entries of their own."""


class Entry(StrEnum):
    """What an entry says has happened, by its name on disk; `History` reads every one."""

    SESSION = "session"
    """A program has taken the folder; the first of them says with what data and teachers the search was begun."""
    SEARCHING = "searching"
    """Trials train from here on, in so many places."""
    STARTED = "started"
    """A trial, or a run of the confirmation; and so it is with the next three."""
    REPORTED = "reported"
    PAUSED = "paused"
    ENDED = "ended"
    SEARCHED = "searched"
    """The search itself is over, and why; what follows is the confirmation."""
    CONFIRMING = "confirming"
    TEST_OPENED = "test opened"
    FINISHED = "finished"
    """There is a verdict."""
    FAILED = "failed"
    """Nothing could be used."""
    EXTENDED = "extended"
    """More trials have been ordered."""

    @classmethod
    def _missing_(cls, value: object) -> Entry | None:
        return cls.SESSION if value == "sitting" else None  # what a session was called at first


class HeldError(ConfigError):
    """A folder is another search's."""


class Logbook(Watcher):
    """Writes a search's logbook; made once a session."""

    is_essential = True

    def __init__(self, folder: Path):
        """Claim the folder's logbook, a new one or that of a search to be taken up again.

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
        """How long the study's journal is; raises OSError where that lacks an entry."""

    def knows(self, trial_ids: Iterable[str]) -> None:
        """Trainings that are in the book from earlier sessions."""
        self._known.update(trial_ids)

    def cut(self, num_bytes: int) -> None:
        """Drop what an earlier session was kept from writing to the end."""
        os.truncate(self._file.fileno(), num_bytes)

    def release(self) -> None:
        """Let another program have it."""
        self._file.close()

    def discard(self) -> None:
        """Take it away, and the folder if there is nothing else in it."""
        (self.folder / LOGBOOK).unlink(missing_ok=True)
        self.release()
        with suppress(OSError):  # not empty
            self.folder.rmdir()

    def write(self, entry: Entry, **content: Any) -> None:
        """Add an entry, with the time in `at_s`: seconds since 1970.

        Raises:
            OSError: it cannot be written, or an earlier one could not.
        """
        line = json.dumps({"entry": entry, "at_s": time.time(), **content}, separators=(",", ":"), allow_nan=False)
        self._appender.append(self._file.fileno(), line.encode() + b"\n")

    def trial_started(self, record: TrialRecord) -> None:
        """Once for each trial, however often it is taken up."""
        if record.trial_id not in self._known:
            self._known.add(record.trial_id)
            self.write(Entry.STARTED, trial=_lasting(record), study_bytes=self.study_bytes())

    def trial_reported(self, record: TrialRecord) -> None:
        """Every epoch."""
        report = {name: _as_json(value) for name, value in record.last.items()}
        is_rung = record.epochs in record.rungs
        self.write(Entry.REPORTED, trial_id=record.trial_id, report=report, is_rung=is_rung)

    def trial_paused(self, record: TrialRecord) -> None:
        """Until it is reported again."""
        self.write(Entry.PAUSED, trial_id=record.trial_id, study_bytes=self.study_bytes())

    def trial_ended(self, record: TrialRecord) -> None:
        """Unless it will go on; what never started is entered with its end, in one entry."""
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
    """A report as it was before `trial_reported` wrote it: JSON has no NaN."""
    return {name: float(value) if isinstance(value, str) else value for name, value in numbers.items()}
