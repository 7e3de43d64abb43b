"""A search that is killed at any instant and resumed: played without Ray, cut after every entry."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disks import files_of_at_most
from hypothesis import given, settings
from hypothesis import strategies as st
from played_sessions import Session, TooWide, cut_copy, goes_on_after_a_cut, report_of

from distill_tune.config import Config
from distill_tune.errors import CacheError
from distill_tune.registry import SAMPLERS, SCHEDULERS
from distill_tune.tuning.deciding import proposing
from distill_tune.tuning.deciding.budget import Reason
from distill_tune.tuning.planning.limits import NO_EXCESS, Excess
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.ledger import Watcher
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK
from distill_tune.tuning.state.records import Status, TrialRecord

TWO = {"objectives": ["val/accuracy", "parameters"]}
PAUSING = {"scheduler": "promotion"}


Whole = tuple[Path, list[Any]]
"""An undisturbed search: its folder, and how it ended."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Whole]:
    """`whole(**search)`: each played once."""
    known: dict[str, Whole] = {}

    def played(**search: Any) -> Whole:
        name = json.dumps(search)
        if name not in known:
            folder = tmp_path_factory.mktemp("whole")
            known[name] = folder, Session(folder, **search).run()
        return known[name]

    return played


@pytest.fixture
def undisturbed(whole: Callable[..., Whole]) -> Whole:
    return whole()


def test_the_undisturbed_search_has_trials_of_every_kind(undisturbed: Whole) -> None:
    statuses = {status for _, _, status, _, _ in undisturbed[1]}
    assert statuses == {"completed", "stopped", "failed", "infeasible"}


@pytest.mark.parametrize("search", [{}, TWO, PAUSING, PAUSING | TWO])
@settings(max_examples=30)
@given(share=st.floats(0, 1))
def test_wherever_it_is_killed_it_ends_with_the_same_trials(
    whole: Callable[..., Whole], search: dict[str, Any], share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    goes_on_after_a_cut(*whole(**search), share, tmp_path_factory.getbasetemp() / "cut", **search)


@pytest.mark.parametrize(
    ("sampler", "objectives"),
    [
        (name, objectives)
        for name in SAMPLERS.names
        for objectives in (["val/accuracy"], ["val/accuracy", "parameters"])
        if name != "grid" and (len(objectives) == 1 or SAMPLERS.get(name).several_objectives)
    ],  # a grid needs another space
)
@pytest.mark.parametrize("scheduler", SCHEDULERS.names)
def test_every_sampler_and_scheduler_goes_on_as_if_nothing_had_happened(
    sampler: str, scheduler: str, objectives: list[str], tmp_path: Path
) -> None:
    trials = 12 if sampler == "gp" else 14  # which is slow once it learns, from trial 11 on
    search = {"sampler": sampler, "scheduler": scheduler, "trials": trials, "objectives": objectives}
    (tmp_path / "whole").mkdir()
    whole = Session(tmp_path / "whole", **search).run()
    for share in (0.3, 0.8):
        goes_on_after_a_cut(tmp_path / "whole", whole, share, tmp_path / "cut", **search)


def test_first_settings_that_were_not_tried_yet_are_tried_when_it_goes_on(tmp_path: Path) -> None:
    search = {"start_with": [{"optim.learning_rate": rate} for rate in (0.01, 0.02, 0.03)], "trials": 6}
    (tmp_path / "whole").mkdir()
    whole = Session(tmp_path / "whole", **search).run()
    rates = [values["optim.learning_rate"] for _, values, *_ in whole]
    assert rates[:3] == [0.01, 0.02, 0.03]
    size = (tmp_path / "whole" / LOGBOOK).stat().st_size
    for share in (0.0, 0.1, 0.25, 0.5):
        cut_copy(tmp_path / "whole", tmp_path / "cut", round(share * size))
        assert Session(tmp_path / "cut", **search).run() == whole


def test_the_smallest_student_is_proposed_after_as_many_refusals_wherever_it_is_killed_among_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FewFit(TooWide):
        def excess(self, config: Config) -> Excess:
            fits = config.student.family == "mlp" and config.student.chosen("family").widths == [8]
            return NO_EXCESS if fits else Excess(0.5, "max_parameters", "over max_parameters 100 (150)")

    def played(folder: Path) -> list[Any]:
        session = Session(folder, trials=6, sampler="random", start_with=[])
        session.conductor._proposer.limits = FewFit()  # type: ignore[assignment]
        session.conductor._proposer.smallest = {"student.family": "mlp", "student.mlp.widths": [8]}
        return session.run()

    monkeypatch.setattr(proposing, "_REFUSALS", 4)
    (tmp_path / "whole").mkdir()
    whole = played(tmp_path / "whole")
    refused = "".join("x" if status == "infeasible" else "." for _, _, status, *_ in whole)
    assert "xxxx." in refused
    assert "xxxxx" not in refused
    book, end = (tmp_path / "whole" / LOGBOOK).read_bytes().splitlines(keepends=True), 0
    for line in book:
        end += len(line)
        if b'"infeasible"' in line:
            cut_copy(tmp_path / "whole", tmp_path / "cut", end)
            assert played(tmp_path / "cut") == whole


@pytest.mark.parametrize("search", [{}, PAUSING])
def test_a_search_that_is_killed_after_every_few_steps_still_ends_the_same(
    whole: Callable[..., Whole], search: dict[str, Any], tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def dying(write: Callable[..., None], after: int) -> Callable[..., None]:
        left = iter(range(after))

        def until_then(*arguments: Any, **content: Any) -> None:
            if next(left, None) is None:
                raise Killed
            write(*arguments, **content)

        return until_then

    for _ in range(1000):
        try:
            session = Session(tmp_path, **search)
            session.logbook.write = dying(session.logbook.write, 7)  # type: ignore[method-assign]
            outcome = session.run()
            break
        except Killed:
            pass
    assert outcome == whole(**search)[1]


@pytest.mark.parametrize("scheduler", ["asha", "hyperband", "median"])
def test_whoever_a_rung_has_let_go_on_is_not_stopped_there_when_it_is_taken_up(scheduler: str, tmp_path: Path) -> None:
    """With several places others arrive while it trains its next epoch, which may take minutes."""
    search = {"scheduler": scheduler, "start_with": [], "trials": 8}

    def begun() -> Session:
        session = Session(tmp_path, **search)
        session.conductor.concurrency = 8
        return session

    session = begun()
    proposals = [session.conductor.propose() for _ in range(8)]
    names = [proposal.trial_id for proposal in proposals if proposal is not None]
    assert len(names) == 8
    passed = set()
    for name, score in zip(names, (0.1, 0.2, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4), strict=True):
        report = {"epoch": 1, "val/accuracy": score, "val/loss": 1 - score, "time/began_s": 0.0}
        if session.conductor.take_reports(name, [report]):
            passed.add(name)
        else:
            session.conductor.ended(name, None)
    session.logbook.release()
    again = begun()
    statuses = {name: again.conductor.ledger.records[name].status for name in passed}
    again.logbook.release()
    assert names[0] in passed, "there was nobody to measure it by"
    assert statuses == dict.fromkeys(passed, Status.RUNNING)


def test_trials_are_known_in_the_order_in_which_they_were_proposed_whoever_was_at_work(tmp_path: Path) -> None:
    """`trials.parquet` has this order, and of equal values the first is confirmed."""
    session = Session(tmp_path)
    session.conductor.concurrency = 3
    names = [proposal.trial_id for _ in range(3) if (proposal := session.conductor.propose()) is not None]
    session.conductor.ended(names[1], "died")
    order = list(session.conductor.ledger.records)
    session.logbook.release()
    again = Session(tmp_path)
    again.logbook.release()
    assert {*names} <= {*order}
    assert list(again.conductor.ledger.records) == order


def test_a_user_who_interrupts_leaves_the_trial_in_hand_for_later(undisturbed: Whole, tmp_path: Path) -> None:
    session = Session(tmp_path)
    proposal = session.conductor.propose()
    assert proposal is not None
    name = proposal.trial_id
    for epoch in (1, 2):
        assert session.conductor.take_reports(name, [report_of(session.conductor, name, epoch)])
    session.conductor.budget.interrupt.requested = True
    session.conductor.ended(name, None)
    session.logbook.release()
    assert session.conductor.ledger.records[name].status is Status.INTERRUPTED
    assert {n: record.status for n, record in History.of(tmp_path).records.items()} == {name: Status.RUNNING}
    assert Session(tmp_path).run() == undisturbed[1]


def test_a_line_torn_by_a_kill_does_not_count_and_a_damaged_one_is_refused(undisturbed: Whole, tmp_path: Path) -> None:
    lines = (undisturbed[0] / LOGBOOK).read_bytes().splitlines(keepends=True)
    shutil.copy(undisturbed[0] / JOURNAL, tmp_path / JOURNAL)
    (tmp_path / LOGBOOK).write_bytes(b"".join(lines[:9]) + lines[9][:20])
    assert History.of(tmp_path).logbook_bytes == sum(map(len, lines[:9]))
    for damaged in (b"{nonsense", b"\xff\xfe", b"[1]", b"3", b"{}", b'{"entry":"ended"}', b'{"entry":3}', b"[" * 9999):
        (tmp_path / LOGBOOK).write_bytes(b"".join(lines[:9]) + damaged + b"\n" + lines[9])
        with pytest.raises(CacheError, match="line 10 is damaged"):
            History.of(tmp_path)


def test_a_journal_that_lost_its_end_takes_the_logbook_back_with_it(undisturbed: Whole, tmp_path: Path) -> None:
    folder, whole = undisturbed
    cut_copy(folder, tmp_path / "cut", (folder / LOGBOOK).stat().st_size)
    with (tmp_path / "cut" / JOURNAL).open("rb+") as journal:
        journal.truncate(journal.seek(0, 2) // 2)
    history = History.of(tmp_path / "cut")
    book = (tmp_path / "cut" / LOGBOOK).read_bytes()
    assert history.num_dropped == book.count(b"\n", history.logbook_bytes) > 0
    assert history.loss.startswith(f"warning: the last {history.num_dropped} entries are dropped from {LOGBOOK}")
    assert Session(tmp_path / "cut").run() == whole
    assert History.of(tmp_path / "cut").loss == ""


def test_a_hole_in_the_journal_takes_the_logbook_back_to_it(undisturbed: Whole, tmp_path: Path) -> None:
    """As left by a lost client of a network disk that had already written what follows."""
    folder, whole = undisturbed
    cut_copy(folder, tmp_path / "cut", (folder / LOGBOOK).stat().st_size)
    journal = tmp_path / "cut" / JOURNAL
    size = journal.stat().st_size
    with journal.open("rb+") as file:
        file.seek(size // 2)
        file.write(bytes(size // 4))
    history = History.of(tmp_path / "cut")
    assert history.num_dropped > 0
    assert history.study_bytes <= size // 2
    assert Session(tmp_path / "cut").run() == whole


def test_a_journal_that_is_missing_is_asked_for_and_the_logbook_stays(undisturbed: Whole, tmp_path: Path) -> None:
    shutil.copy(undisturbed[0] / LOGBOOK, tmp_path / LOGBOOK)
    with pytest.raises(CacheError, match=r"study\.journal: is missing, but ledger\.jsonl says .*; put it back\.$"):
        Claim.of_old(tmp_path, "")
    assert (tmp_path / LOGBOOK).read_bytes() == (undisturbed[0] / LOGBOOK).read_bytes()
    (tmp_path / LOGBOOK).write_bytes(b"")  # of a search that has proposed nothing yet
    assert History.of(tmp_path) == History()


def test_a_hole_that_a_lost_machine_has_left_is_the_end(undisturbed: Whole, tmp_path: Path) -> None:
    folder, whole = undisturbed
    lines = (folder / LOGBOOK).read_bytes().splitlines(keepends=True)
    shutil.copy(folder / JOURNAL, tmp_path / JOURNAL)
    (tmp_path / LOGBOOK).write_bytes(b"".join(lines[:9]) + bytes(len(lines[9])) + b"".join(lines[10:12]))
    history = History.of(tmp_path)
    assert history.logbook_bytes == sum(map(len, lines[:9]))
    assert history.num_dropped == 2
    assert Session(tmp_path).run() == whole


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, on which every write fails")
def test_a_full_disk_ends_the_search_and_what_is_there_goes_on_when_there_is_room(
    undisturbed: Whole, tmp_path: Path
) -> None:
    session = Session(tmp_path)
    first = session.conductor.propose()
    assert first is not None
    session._train(first.trial_id)
    session.logbook.release()
    with Path("/dev/full").open("ab", buffering=0) as full:
        session.logbook._file = full
        assert session.conductor.propose() is None
        assert session.conductor.is_over
    assert session.conductor.budget.ended_by is Reason.STORAGE
    assert "No space left" in session.conductor.why
    assert Session(tmp_path).run() == undisturbed[1]


def test_a_node_without_room_ends_the_search_and_its_trial_goes_on_when_there_is_room(
    undisturbed: Whole, tmp_path: Path
) -> None:
    session = Session(tmp_path)
    first = session.conductor.propose()
    assert first is not None
    session.conductor.out_of_room("node B has no room")
    session.conductor.ended(first.trial_id, None)
    session.conductor.end_the_rest()
    session.logbook.release()
    assert session.conductor.is_over
    assert History.of(tmp_path).records[first.trial_id].status is Status.RUNNING
    assert Session(tmp_path).run() == undisturbed[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, on which every write fails")
def test_a_disk_that_is_full_when_a_trial_pauses_loses_nothing_either(
    whole: Callable[..., Whole], tmp_path: Path
) -> None:
    search = PAUSING | {"start_with": []}  # else the first trial would not pause
    session = Session(tmp_path, **search)
    first = session.conductor.propose()
    assert first is not None
    name = first.trial_id
    assert not session.conductor.take_reports(name, [report_of(session.conductor, name, 1)])
    session.logbook.release()
    with Path("/dev/full").open("ab", buffering=0) as full:
        session.logbook._file = full
        session.conductor.ended(name, None)
        session.conductor.end_the_rest()
    assert session.conductor.budget.ended_by is Reason.STORAGE
    assert Session(tmp_path, **search).run() == whole(**search)[1]


@pytest.mark.parametrize("search", [{}, PAUSING])
@pytest.mark.parametrize("number", [1, 7, 20])
def test_a_second_interrupt_between_an_epoch_and_its_entry_loses_nothing(
    whole: Callable[..., Whole], search: dict[str, Any], number: int, tmp_path: Path
) -> None:
    search = search | {"start_with": []}
    session, heard = Session(tmp_path, **search), 0

    class Interrupted(Watcher):
        """Comes before the logbook."""

        def trial_reported(self, record: TrialRecord) -> None:
            nonlocal heard
            heard += 1
            if heard == number:
                raise KeyboardInterrupt

    session.conductor.ledger.watchers.insert(0, Interrupted())
    with pytest.raises(KeyboardInterrupt):
        session.run()
    session.conductor.budget.interrupt.requested = True
    session.conductor.leave_the_rest()
    session.logbook.release()
    assert heard == number
    assert Session(tmp_path, **search).run() == whole(**search)[1]


@pytest.mark.parametrize("search", [{}, PAUSING])
@settings(max_examples=20)
@given(share=st.floats(0.1, 0.98))
def test_a_disk_that_fills_up_in_the_midst_of_an_entry_loses_nothing(
    whole: Callable[..., Whole], search: dict[str, Any], share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder, outcome), cut = whole(**search), tmp_path_factory.mktemp("full")
    with files_of_at_most(round(share * (folder / JOURNAL).stat().st_size)):
        session = Session(cut, **search)
        session.run()
    assert session.conductor.budget.ended_by is Reason.STORAGE
    assert all((cut / name).read_bytes().endswith(b"}\n") for name in (LOGBOOK, JOURNAL))
    assert Session(cut, **search).run() == outcome
