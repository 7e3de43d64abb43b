"""Extending a search, even if a kill comes between its logbook and its `search.toml`."""

from pathlib import Path
from typing import Any

import pytest

from distill_tune.config import Space
from distill_tune.errors import ConfigError
from distill_tune.export.result_folder import SEARCH_TOML
from distill_tune.tuning.order import extended, taken_up
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.claim import Claim, space_of
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Entry
from distill_tune.tuning.state.records import Status, TrialRecord

SPACE = Space.parse(
    {"data": {"source": "digits"}, "student": {"family": "mlp"}, "search": {"trials": 20, "time": "10m"}}
)


def finish(claim: Claim, *ends: Status, ended_by: str = "trials") -> Path:
    """Append trials with these `ends`, and finish the search."""
    first = len(claim.history.records)
    (claim.folder / JOURNAL).touch()
    for number, status in enumerate(ends, first):
        record = TrialRecord(number, f"{number:04d}", {})
        if status is not Status.INFEASIBLE:
            claim.logbook.trial_started(record)
        record.end(status, "", at_s=0.0)
        claim.logbook.trial_ended(record)
    claim.logbook.write(Entry.SEARCHED, ended_by=ended_by)
    claim.logbook.write(Entry.FINISHED)
    claim.logbook.release()
    return claim.folder


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A search that ran all trials."""
    return finish(Claim.of_new(tmp_path / "search", SPACE, "its first command"), *[Status.COMPLETED] * 20)


def length(space: Space) -> tuple[int, str | None]:
    return space.config.search.trials, space.config.search.time


def extend(folder: Path, trials: int, time: str | None) -> None:
    """Extend a search, on disk only."""
    order, claim = extended(folder, trials, time, "its second command", None), Claim.of_old(folder, "")
    order.enter(claim, order.space)
    claim.logbook.release()


@pytest.mark.parametrize("time", [None, "5m"])
def test_an_extension_that_was_killed_before_search_toml_goes_on_as_long_as_it_was_asked_to(
    finished: Path, time: str | None
) -> None:
    before = (finished / SEARCH_TOML).read_bytes()
    extend(finished, 6, time)
    (finished / SEARCH_TOML).write_bytes(before)
    order, claim = taken_up(finished, "its third command", None), Claim.of_old(finished, "")
    assert length(order.space) == (26, time)
    order.enter(claim, order.space)
    assert length(space_of(finished)) == (26, time)
    finish(claim, *[Status.STOPPED] * 6)
    assert length(extended(finished, 4, "1h", "", None).space) == (30, "1h")


def test_an_extension_has_so_many_more_trials_than_there_have_been_however_many_were_planned(tmp_path: Path) -> None:
    ends = [Status.COMPLETED, Status.STOPPED, Status.FAILED, Status.INTERRUPTED, Status.INFEASIBLE]
    folder = finish(Claim.of_new(tmp_path / "search", SPACE, "its first command"), *ends, ended_by="time")
    assert length(extended(folder, 5, None, "", None).space) == (4 + 5, None)
    extend(folder, 5, "1h")
    assert length(taken_up(folder, "", None).space) == (4 + 5, "1h")


def test_an_extension_whose_search_toml_was_edited_since_is_as_long_as_that_says(finished: Path) -> None:
    extend(finished, 6, None)
    edited = (finished / SEARCH_TOML).read_text().replace("trials = 26", "trials = 22")
    (finished / SEARCH_TOML).write_text(edited)
    assert length(taken_up(finished, "its third command", None).space) == (22, None)


@pytest.mark.parametrize("meanwhile", ["finished", "extended"])
def test_a_search_that_another_program_finishes_or_extends_meanwhile_is_not_taken_up(
    finished: Path, meanwhile: str
) -> None:
    if meanwhile == "finished":
        extend(finished, 6, None)
        order = taken_up(finished, "its third command", None)
        finish(Claim.of_old(finished, ""), *[Status.STOPPED] * 6)
    else:
        order = extended(finished, 6, None, "its third command", None)
        extend(finished, 6, None)
        finish(Claim.of_old(finished, ""), *[Status.STOPPED] * 6)
    before = (finished / LOGBOOK).read_bytes()
    with pytest.raises(ConfigError, match=r"this search meanwhile; check its result and run the command again\."):
        Claim.of_old(finished, "", order.check_still_right)
    assert (finished / LOGBOOK).read_bytes() == before
    Claim.of_old(finished, "").logbook.release()


def test_trials_that_are_added_to_search_toml_once_the_search_itself_has_ended_are_said_to_be_in_vain(
    tmp_path: Path,
) -> None:
    claim = Claim.of_new(tmp_path / "search", SPACE, "its first command")
    (claim.folder / JOURNAL).touch()
    for number in range(21):
        trained(claim, number, Status.INFEASIBLE if number == 3 else Status.STOPPED)
    claim.logbook.write(Entry.SEARCHED, ended_by="trials")
    claim.logbook.release()
    assert taken_up(claim.folder, "", None).notes == ()
    toml = claim.folder / SEARCH_TOML
    toml.write_text(toml.read_text().replace("trials = 20", "trials = 26"))
    assert taken_up(claim.folder, "", None).notes == (
        "warning: search.trials = 26 has no effect, since the search itself has ended, with 20 trials, and only its "
        "confirmation goes on; once that is done, --extend 6 adds the others",
    )
    assert extended(finish(Claim.of_old(claim.folder, "")), 6, None, "", None).notes == ()


@pytest.mark.parametrize(
    ("ended_by", "before", "is_said"),
    [
        ("time", "10m", True),
        ("time", "1h", False),
        ("time", "2h", False),
        ("time", None, False),
        ("trials", "9m", False),
    ],
)
def test_time_that_is_added_once_it_has_ended_the_search_itself_is_said_to_be_in_vain(
    tmp_path: Path, ended_by: str, before: str | None, is_said: bool
) -> None:
    claim = Claim.of_new(tmp_path / "search", SPACE.with_fixed("search", "time", "1h"), "its first command")
    (claim.folder / JOURNAL).touch()
    for number in range(20):
        trained(claim, number, Status.STOPPED)
    claim.logbook.write(Entry.SEARCHED, ended_by=ended_by, time=before)
    claim.logbook.release()
    warning = (
        "warning: search.time = '1h' adds no trial, since the search itself has ended, with 10m, and only its "
        "confirmation goes on; once that is done, --extend N adds some"
    )
    assert taken_up(claim.folder, "", None).notes == ((warning,) if is_said else ())


def test_lanes_that_are_settled_cannot_be_made_automatic_again(finished: Path) -> None:
    toml = finished / SEARCH_TOML
    toml.write_text(toml.read_text() + '\n[resources]\nlanes = "auto"\n')
    with pytest.raises(ConfigError, match=r"resources\.lanes: must be a number .* but is 'auto'"):
        extended(finished, 6, None, "", None)


@pytest.mark.parametrize("ended_by", [None, "time", "exhausted"])
def test_trials_that_are_yet_to_come_or_never_came_for_another_reason_are_not_said(
    tmp_path: Path, ended_by: str | None
) -> None:
    claim = Claim.of_new(tmp_path / "search", SPACE, "its first command")
    (claim.folder / JOURNAL).touch()
    trained(claim, 0, Status.STOPPED)
    if ended_by is not None:
        claim.logbook.write(Entry.SEARCHED, ended_by=ended_by)
    claim.logbook.release()
    assert taken_up(claim.folder, "", None).notes == ()


def trained(claim: Claim, number: int, status: Status, pauses: bool = False) -> None:
    """Log a trial of two epochs that ended so, after its last report."""
    record = TrialRecord(number, f"{number:04d}", {})
    claim.logbook.trial_started(record)
    for epoch in (1, 2):
        record.reach({"epoch": epoch, "val/accuracy": 0.5, "time/began_s": 1.0}, False, at_s=1.0)
        claim.logbook.trial_reported(record)
    if pauses:
        claim.logbook.trial_paused(record)
    record.end(status, "", at_s=9e9)
    claim.logbook.trial_ended(record)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ({"epochs": 8}, r"the epochs are used up \(search\.epochs = 8\)"),
        ({"target": 0.5}, r"the target is reached \(search\.target = 0\.5\)"),
        ({"patience": 2}, r"no trial has been better for too long \(search\.patience = 2\)"),
    ],
)
def test_what_was_used_up_as_the_time_ended_the_search_ends_its_extension_too(
    tmp_path: Path, key: dict[str, Any], why: str
) -> None:
    space = Space.parse({**SPACE.tables, "search": {"trials": 20, "time": "10m", **key}})
    claim = Claim.of_new(tmp_path / "search", space, "its first command")
    (claim.folder / JOURNAL).touch()
    for number in range(4):
        trained(claim, number, Status.STOPPED)
    folder = finish(claim, ended_by="time")
    with pytest.raises(ConfigError, match=why):
        extended(folder, 6, None, "", None)


def test_a_trial_that_had_paused_before_the_time_interrupted_it_counts_where_it_paused(tmp_path: Path) -> None:
    space = Space.parse({**SPACE.tables, "search": {"trials": 20, "time": "10m", "patience": 2}})
    claim = Claim.of_new(tmp_path / "search", space, "its first command")
    (claim.folder / JOURNAL).touch()
    for number in range(2):
        trained(claim, number, Status.INTERRUPTED, pauses=True)
    folder = finish(claim, Status.COMPLETED, ended_by="time")
    with pytest.raises(ConfigError, match=r"better for too long \(search\.patience = 2\)"):
        extended(folder, 6, None, "", None)


def test_trials_that_the_time_has_interrupted_are_no_sign_that_nothing_gets_better(tmp_path: Path) -> None:
    space = Space.parse({**SPACE.tables, "search": {"trials": 20, "time": "10m", "patience": 2}})
    ends = [Status.COMPLETED, *[Status.INTERRUPTED] * 6]
    folder = finish(Claim.of_new(tmp_path / "search", space, "its first command"), *ends, ended_by="time")
    assert length(extended(folder, 6, None, "", None).space) == (13, None)


def of_grid(folder: Path) -> Space:
    """A grid search that has tried both of its combinations."""
    optim = {"batch_size": {"choice": [32, 64]}}
    space = Space.parse({**SPACE.tables, "optim": optim, "search": {"trials": 2, "sampler": "grid"}})
    study = Study(folder / JOURNAL, "search", space)
    for _ in range(2):
        proposal = study.ask()
        report = {"epoch": 1, "val/accuracy": 0.5}
        study.tell(TrialRecord(proposal.number, "t", proposal.values, reports=[report]), Status.COMPLETED)
    return space


@pytest.mark.parametrize(
    ("ended_by", "key", "why", "cure"),
    [
        ("epochs", {"epochs": 300}, "the epochs are used up (search.epochs = 300)", "a different limit"),
        ("target", {"target": 0.9}, "the target is reached (search.target = 0.9)", "a different limit"),
        (
            "patience",
            {"patience": 4, "sampler": "random"},
            "no trial has been better for too long (search.patience = 4)",
            "a different limit, search.sampler = 'tpe'",
        ),
        (
            "trials",
            {"sampler": "grid"},
            "every combination of the space has been tried (search.sampler = 'grid')",
            "search.sampler = 'tpe'",
        ),
    ],
)
def test_a_search_that_would_end_again_before_another_trial_is_not_extended(
    tmp_path: Path, ended_by: str, key: dict[str, Any], why: str, cure: str
) -> None:
    folder = tmp_path / "search"
    folder.mkdir()
    space = of_grid(folder) if ended_by == "trials" else Space.parse({**SPACE.tables, "search": {"trials": 20, **key}})
    claim = Claim.of_new(folder, space, "its first command")
    claim.logbook.write(Entry.SEARCHED, ended_by=ended_by)
    claim.logbook.write(Entry.FINISHED)
    claim.logbook.release()
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(ConfigError) as refused:
        extended(folder, 6, None, "", None)
    assert f"since {why}; start a new search with {cure} and search.start_from = ['" in str(refused.value)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_what_is_taken_up_without_a_change_keeps_the_search_toml_of_the_command_that_made_it(finished: Path) -> None:
    extend(finished, 6, "5m")
    written = (finished / SEARCH_TOML).read_bytes()
    order, claim = taken_up(finished, "its third command", None), Claim.of_old(finished, "")
    order.enter(claim, order.space)
    claim.logbook.release()
    assert (finished / SEARCH_TOML).read_bytes() == written
    assert b"its second command" in written
