"""Logbook and journal on their own: one writer, whole entries, and the same content when read back."""

import json
from pathlib import Path

import pytest
from disks import files_of_at_most
from hypothesis import given
from hypothesis import strategies as st
from played_sessions import TABLES, releasing

from distill_tune.config import Space
from distill_tune.errors import ConfigError
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Logbook
from distill_tune.tuning.state.records import Status, TrialRecord


def test_a_search_goes_on_in_a_folder_of_another_name(tmp_path: Path) -> None:
    space = Space.parse(TABLES)
    study = Study(tmp_path / JOURNAL, "its-first-name", space)
    first = study.ask()
    again = Study(tmp_path / JOURNAL, "its-new-name", space, study.num_bytes)
    record = TrialRecord(first.number, "0000", first.values)
    assert again.take_up(record) == first
    assert again.ask().number == first.number + 1


def test_a_logbook_that_another_program_holds_is_refused(tmp_path: Path) -> None:
    logbook = Logbook(tmp_path)
    with pytest.raises(ConfigError, match="another program is at work"):
        Logbook(tmp_path)
    logbook.release()
    Logbook(tmp_path).release()


@given(
    numbers=st.dictionaries(st.sampled_from(["val/accuracy", "train/loss", "epoch"]), st.floats(), min_size=1),
)
def test_reports_come_back_from_the_logbook_as_they_were(
    numbers: dict[str, float], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("book")
    logbook, record = Logbook(folder), TrialRecord(0, "0000", {"optim.learning_rate": 0.1})
    logbook.trial_started(record)
    record.reports.append({"epoch": 1, **numbers} | {"epoch": 1})
    logbook.trial_reported(record)
    logbook.release()
    assert all(json.loads(line) for line in (folder / LOGBOOK).read_text().splitlines())
    back = History.of(folder).records["0000"]
    assert repr(back.reports) == repr(record.reports)
    assert (back.values, back.status) == (record.values, Status.RUNNING)


def test_a_logbook_with_half_an_entry_takes_it_back_and_no_other_after_it(tmp_path: Path) -> None:
    logbook, record = Logbook(tmp_path), TrialRecord(0, "0000", {"optim.learning_rate": 0.1})
    logbook.trial_started(record)
    before = (tmp_path / LOGBOOK).read_bytes()
    record.reports.append({"epoch": 1, "val/accuracy": 0.5})
    with releasing(logbook):
        with files_of_at_most(len(before) + 10), pytest.raises(OSError, match="File too large"):
            logbook.trial_reported(record)
        assert (tmp_path / LOGBOOK).read_bytes() == before
        with pytest.raises(OSError, match="File too large"):
            logbook.trial_ended(record)
    assert (tmp_path / LOGBOOK).read_bytes() == before
