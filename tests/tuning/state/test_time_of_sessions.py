"""The time that sessions spent on a search, according to their logbook."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import LOGBOOK, Entry, Logbook
from distill_tune.tuning.state.records import TrialRecord

NIGHT_S = 50_000.0


def written(folder: Path, *entries: dict[str, Any]) -> History:
    """The history of these logbook entries."""
    (folder / LOGBOOK).write_text("".join(f"{json.dumps(entry)}\n" for entry in entries))
    return History.of(folder)


def session(at_s: float, places: int) -> list[dict[str, Any]]:
    return [
        {"entry": "session", "at_s": at_s, "command": ""},
        {"entry": "searching", "at_s": at_s + 1, "places": places},
    ]


def started(at_s: float) -> dict[str, Any]:
    return {"entry": "started", "at_s": at_s, "trial": {"number": 0, "trial_id": "0000", "values": {}}}


def reported(at_s: float, epoch: int, began_s: float) -> dict[str, Any]:
    report = {"epoch": epoch, "val/accuracy": 0.5, "time/began_s": began_s}
    return {"entry": "reported", "at_s": at_s, "trial_id": "0000", "report": report, "is_rung": False}


@pytest.mark.parametrize("gap", [0, 5], ids=["in its first epoch", "later"])
def test_a_machine_that_is_suspended_uses_no_time_of_the_search_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gap: int
) -> None:
    """The time of day goes on then, the monotonic clock does not."""
    clock = SimpleNamespace(time=lambda: NIGHT_S + now_s + asleep_s, monotonic=lambda: now_s)
    now_s = asleep_s = 0.0
    monkeypatch.setattr("distill_tune.tuning.state.logbook.time", clock)
    logbook, record = Logbook(tmp_path), TrialRecord(0, "0000", {})
    logbook.write(Entry.SESSION, command="")
    logbook.write(Entry.SEARCHING, places=2)
    for epoch in range(10):
        began_s = clock.time()
        asleep_s, now_s = asleep_s + 8 * 3600 * (epoch == gap), now_s + 60
        record.reach({"epoch": epoch + 1, "val/accuracy": 0.5, "time/began_s": began_s}, False, clock.time())
        if epoch == 0:
            logbook.trial_started(record)
        logbook.trial_reported(record)
    logbook.release()
    history = History.of(tmp_path)
    assert (history.search_s, history.spent_s, history.place_s) == pytest.approx((600, 600, 1200))


def test_a_night_between_two_sessions_is_no_time_of_the_search(tmp_path: Path) -> None:
    """The second session reports an epoch from a checkpoint of the first, which was killed."""
    history = written(
        tmp_path,
        *session(100.0, places=1),
        started(102.0),
        reported(112.0, epoch=1, began_s=104.0),
        *session(NIGHT_S, places=1),
        reported(NIGHT_S + 5, epoch=2, began_s=112.0),
        reported(NIGHT_S + 7, epoch=3, began_s=NIGHT_S + 5),
    )
    assert history.search_s == history.spent_s == pytest.approx(8 + 7)


def test_each_session_counts_with_as_many_places_as_it_had(tmp_path: Path) -> None:
    history = written(
        tmp_path,
        *session(100.0, places=4),
        started(102.0),
        reported(112.0, epoch=1, began_s=102.0),
        *session(NIGHT_S, places=2),
        reported(NIGHT_S + 7, epoch=2, began_s=NIGHT_S + 2),
    )
    assert history.search_s == pytest.approx(10 + 5)
    assert history.place_s == pytest.approx(4 * 10 + 2 * 5)


def test_what_is_settled_before_the_places_are_up_is_no_time_of_the_search(tmp_path: Path) -> None:
    """A trial is judged when it is resumed; the first step may come much later on a busy cluster."""
    begun = {"entry": "session", "at_s": NIGHT_S, "command": ""}
    history = written(
        tmp_path,
        *session(100.0, places=1),
        started(102.0),
        reported(112.0, epoch=1, began_s=102.0),
        begun,
        {
            "entry": "ended",
            "at_s": NIGHT_S + 1,
            "trial_id": "0000",
            "status": "stopped",
            "message": "",
            "ended_s": 112.0,
        },
        {"entry": "searching", "at_s": NIGHT_S + 2, "places": 1},
        reported(NIGHT_S + 500, epoch=2, began_s=NIGHT_S + 495),
    )
    assert history.search_s == pytest.approx(10 + 5)
