"""What earlier sessions of a search have left: read from its logbook, empty for a new search."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, assert_never

from distill_tune.config.messages import shown
from distill_tune.errors import CacheError
from distill_tune.growing_files import num_lines_after, whole_lines
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Entry, as_report
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.state.own_parts import Seen, seen_beside
from distill_tune.tuning.state.plan import ConfirmationPlan
from distill_tune.tuning.state.records import CONFIRMATION, Status, TrialRecord

_GAVE_UP = "failures"
"""`ended_by` of a search that gave up because all of its first trials failed."""
_WAY_OUT = "put the file back as it was, or begin a new search"


@dataclass
class History:
    """A search's past."""

    records: dict[str, TrialRecord] = field(default_factory=dict)
    """Every trial of the search, in order of proposal."""
    given_up: dict[str, TrialRecord] = field(default_factory=dict)
    """The trials of the last session that ended without a usable one; the next session tries them again."""
    confirmations: dict[str, TrialRecord] = field(default_factory=dict)
    study_bytes: int = 0
    """Length of the study's journal that these entries correspond to."""
    search_s: float = 0.0
    """Seconds of searching, from first to last step, summed over sessions."""
    spent_s: float = 0.0
    """The part of `search_s` since the search began or was last extended: what counts against its time budget."""
    place_s: float = 0.0
    """`search_s` with each session's share multiplied by its number of places."""
    places: int = 0
    """Number of places when it was last searched; 0 if it has not been."""
    plan: ConfirmationPlan | None = None
    """The plan of the latest confirmation, if it is unfinished."""
    sessions: int = 0
    """How many sessions have worked on it."""
    rounds: int = 0
    """Confirmations that finished."""
    tests_opened: int = 0
    """How often the test split was opened."""
    ended_by: str | None = None
    """Why the search phase ended, if it did."""
    ended_with: str | None = None
    """The time budget it had then; None if it had none, or if an older version wrote the entry."""
    extensions: int = 0
    """How often it was extended."""
    extended_to: tuple[int, str | None] | None = None
    """Trial and time budgets since the last extension, if it recorded them."""
    extended_from: tuple[int, str | None] | None = None
    """The same budgets before that extension."""
    origin: Origin | None = None
    """What it was started with; None for searches from before this was recorded."""
    own_parts: Seen = field(default_factory=dict)
    """The versions of user-defined parts seen in its sessions."""
    is_finished: bool = False
    """Whether it reached a verdict and has not been extended since."""
    logbook_bytes: int = 0
    """How many bytes of the logbook are intact; a kill may leave a partial line, and a lost disk cache more."""
    num_dropped: int = 0
    """Complete lines after that, which are ahead of the study's journal or come after a hole."""

    @classmethod
    def of(cls, folder: Path) -> History:
        """The history of the search in a result folder, from its logbook as far as its study's journal confirms it.

        Raises:
            CacheError: the logbook is empty, damaged other than at its end, or written by a newer version; or the
                journal is missing, empty or damaged.
        """
        path, journal = folder / LOGBOOK, folder / JOURNAL
        journal_bytes = max((end for _, end in whole_lines(journal)), default=0) if journal.exists() else 0
        history, stopwatch, has_trials = cls(), _Stopwatch(), False
        for number, (line, end) in enumerate(whole_lines(path), 1):
            where = f"{path}: line {number}"
            try:
                entry = json.loads(line)
                has_trials = has_trials or entry.get("study_bytes", 0) > 0
                if entry.get("study_bytes", 0) > journal_bytes:
                    break
                kind = _kind_of(entry["entry"], where)
                history._take(kind, entry)
                history._count(stopwatch.seconds_more(kind, entry), stopwatch.places)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:  # JSON, but no entry
                raise CacheError(
                    f"{where} is damaged; the search cannot be taken up again, begin a new one."
                ) from error
            history.logbook_bytes = end
        if journal_bytes and not history.logbook_bytes:  # although the journal is created after the logbook
            raise CacheError(f"{path}: line 1 is damaged; {_WAY_OUT}.")
        _check_journal(journal, history.study_bytes, has_trials)
        history.num_dropped = num_lines_after(path, history.logbook_bytes)
        if history.num_dropped and not journal.exists():
            raise CacheError(f"{journal}: is missing, but {path.name} says what is in it; put it back.")
        return history

    @property
    def loss(self) -> str:
        """A warning about dropped entries; empty if there are none."""
        if not self.num_dropped:
            return ""
        what = "entry is" if self.num_dropped == 1 else "entries are"
        return f"warning: the last {self.num_dropped} {what} dropped from {LOGBOOK}: {JOURNAL} or the disk lost some"

    def extend(self) -> None:
        """Note that the search was extended; its time is counted from zero again."""
        self.extensions, self.ended_by, self.is_finished, self.spent_s = self.extensions + 1, None, False, 0.0

    def try_again(self) -> None:
        """Forget failures after a session with no usable result, since their cause may have been temporary.

        If no trial was usable, or the search gave up, all of it is tried again with its whole budget.
        """
        failed = [name for name, record in self.confirmations.items() if record.status is Status.FAILED]
        for name in failed:
            del self.confirmations[name]
        has_given_up = self.ended_by == _GAVE_UP and self.plan is None
        if has_given_up or not any(record.is_usable for record in self.records.values()):
            self.given_up, self.records, self.own_parts, self.ended_by = self.records, {}, {}, None
            self.search_s = self.spent_s = self.place_s = 0.0

    def _count(self, seconds: float, places: int) -> None:
        self.search_s, self.spent_s = self.search_s + seconds, self.spent_s + seconds
        self.place_s += seconds * places

    def _take(self, kind: Entry, entry: dict[str, Any]) -> None:
        self.study_bytes = max(self.study_bytes, entry.get("study_bytes", 0))
        match kind:
            case Entry.SESSION:
                self.sessions += 1
                if "data" in entry:
                    self.origin = Origin(entry["data"], entry["teachers"], entry.get("asked", ""))
                self.own_parts = seen_beside(self.own_parts, entry.get("own_parts", {}))
            case Entry.SEARCHING:
                self.places = entry["places"]
            case Entry.STARTED:
                self._record(entry)
            case Entry.REPORTED:
                self._record(entry).reach(as_report(entry["report"]), entry["is_rung"], entry["at_s"])
            case Entry.PAUSED:
                self._record(entry).pause(entry["at_s"])
            case Entry.ENDED:
                self._record(entry).end(Status(entry["status"]), entry["message"], entry["ended_s"])
            case Entry.SEARCHED:
                self.ended_by, self.ended_with = entry["ended_by"], entry.get("time")
            case Entry.CONFIRMING:
                self.plan = ConfirmationPlan(**entry["plan"])
            case Entry.TEST_OPENED:
                self.tests_opened += 1
            case Entry.FAILED:
                self.try_again()
            case Entry.FINISHED:
                self.rounds, self.plan, self.is_finished = self.rounds + 1, None, True
            case Entry.EXTENDED:
                self.extend()
                self.extended_to = (entry["total"], entry["time"]) if "total" in entry else None
                has_before = "trials_before" in entry
                self.extended_from = (entry["trials_before"], entry["time_before"]) if has_before else None
            case _:
                assert_never(kind)

    def _record(self, entry: dict[str, Any]) -> TrialRecord:
        """The record that an entry is about: a new one that it contains, or a known one by name."""
        if "trial" in entry:
            record = TrialRecord(**entry["trial"])
            return (self.confirmations if record.is_confirmation else self.records).setdefault(record.trial_id, record)
        trial_id = entry["trial_id"]
        return self.records[trial_id] if trial_id in self.records else self.confirmations[trial_id]


class _Stopwatch:
    """Adds up the time during which trials trained."""

    def __init__(self) -> None:
        self.places = 1
        """Number of places in the session."""
        self._last: dict[str, Any] | None = None
        self._session: dict[str, Any] = {"at_s": 0.0}

    def seconds_more(self, kind: Entry, entry: dict[str, Any]) -> float:
        match kind:
            case Entry.SESSION:
                self._last, self._session = None, entry
            case Entry.SEARCHED:
                self._last = None
            case Entry.SEARCHING:
                self.places, self._last = entry["places"], None  # what came before is not training time
        if entry.get("trial_id", CONFIRMATION).startswith(CONFIRMATION):
            return 0.0
        before, self._last = self._last, entry
        if before is not None:
            return _seconds_between(before, entry)
        step_s: float = entry["at_s"] - entry.get("report", {}).get("time/began_s", entry["at_s"])
        # The epoch may come from a checkpoint of the previous session.
        return max(0.0, min(step_s, _seconds_between(self._session, entry)))


def _seconds_between(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Seconds from one entry to another of its session, without those in which the machine was suspended.

    Entries of older versions have only the time of day, which goes on then.
    """
    clock = "monotonic_s" if "monotonic_s" in before.keys() & after.keys() else "at_s"
    return max(0.0, float(after[clock] - before[clock]))


def _kind_of(name: Any, where: str) -> Entry:
    """The kind of an entry, by its name.

    Raises:
        CacheError: this version knows no such entry; skipping it would misread the history.
    """
    try:
        return Entry(name)
    except ValueError as error:
        if not isinstance(name, str):
            raise
        raise CacheError(
            f"{where} must be an entry that this distill_tune knows, but is {shown(name)}; a newer one may have "
            "written it: use that one, or begin a new search."
        ) from error


def _check_journal(path: Path, num_bytes: int, is_begun: bool) -> None:
    """Check the part of a study's journal that the logbook knows; if it `is_begun`, at least its first line.

    Raises:
        CacheError: a line of it is damaged.
    """
    if not path.exists():
        return
    num_lines = reached = 0
    for line, end in whole_lines(path):
        if (num_lines and end > num_bytes) or not is_object(line):
            break
        num_lines, reached = num_lines + 1, end
    if reached < max(num_bytes, is_begun):
        raise CacheError(f"{path}: line {num_lines + 1} is damaged; {_WAY_OUT}.")


def is_object(line: bytes) -> bool:
    """Whether a line of a logbook or journal can be read."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
