"""Every logbook entry is read by its name on disk, and an unknown one is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from distill_tune.errors import CacheError
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import LOGBOOK, Entry, Logbook
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.state.records import TrialRecord

CONTENTS: dict[str, dict[str, Any]] = {
    "session": {"command": "", "data": "digits-1", "teachers": ["big-2"]},
    "searching": {"places": 2},
    "started": {"trial": {"number": 1, "trial_id": "0001", "values": {}}},
    "reported": {"trial_id": "0000", "report": {"epoch": 1, "val/accuracy": 0.5}, "is_rung": False},
    "paused": {"trial_id": "0000"},
    "ended": {"trial_id": "0000", "status": "failed", "message": "", "ended_s": 1.0},
    "searched": {"ended_by": "trials"},
    "confirming": {"plan": {"top": 1, "seeds": 2}},
    "test opened": {},
    "finished": {},
    "failed": {},
    "extended": {"trials": 3, "total": 9, "time": None},
}
"""Entries in the files of earlier searches: none may lose its name."""


def test_entries_keep_the_names_that_they_have_in_files() -> None:
    assert CONTENTS.keys() <= set(Entry)


@pytest.mark.parametrize("entry", Entry)
def test_every_entry_has_its_reader(tmp_path: Path, entry: Entry) -> None:
    logbook = Logbook(tmp_path)
    logbook.trial_started(TrialRecord(0, "0000", {}))
    logbook.write(entry, **CONTENTS.get(entry, {}))
    logbook.release()
    assert History.of(tmp_path).logbook_bytes == (tmp_path / LOGBOOK).stat().st_size


def test_an_entry_that_nobody_here_knows_is_refused_in_one_line(tmp_path: Path) -> None:
    book = tmp_path / LOGBOOK
    book.write_text('{"entry":"finished","at_s":1.0}\n{"entry":"moved\\nhouse","at_s":2.0}\n')
    with pytest.raises(CacheError) as refused:
        History.of(tmp_path)
    assert str(refused.value) == (
        rf"{book}: line 2 must be an entry that this distill_tune knows, but is 'moved\nhouse'; a newer one may have "
        "written it: use that one, or begin a new search."
    )


def test_a_session_is_known_by_its_first_name_too(tmp_path: Path) -> None:
    (tmp_path / LOGBOOK).write_text(json.dumps({"entry": "sitting", "at_s": 1.0, **CONTENTS["session"]}) + "\n")
    assert History.of(tmp_path).origin == Origin("digits-1", ["big-2"])


def test_a_training_that_ended_and_is_done_again_has_each_epoch_once(tmp_path: Path) -> None:
    """As when its student's file was deleted before `--resume`."""
    logbook, record = Logbook(tmp_path), TrialRecord(0, "0000", {})
    logbook.trial_started(record)
    for accuracy in (0.5, 0.7):
        for epoch in (1, 2, 3):
            record.reach({"epoch": epoch, "val/accuracy": accuracy}, is_rung=False, at_s=1.0)
            logbook.trial_reported(record)
        logbook.trial_ended(record)
    logbook.release()
    assert [(report["epoch"], report["val/accuracy"]) for report in record.reports] == [(1, 0.7), (2, 0.7), (3, 0.7)]
    assert History.of(tmp_path).records["0000"].reports == record.reports
