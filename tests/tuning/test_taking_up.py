"""A search that is ended at any instant and taken up again: played through without Ray, cut after every entry."""

import json
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from disks import files_of_at_most
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_tune.config import Config, Space
from distill_tune.errors import CacheError, ConfigError, DistillTuneError
from distill_tune.registry import SAMPLERS, SCHEDULERS
from distill_tune.students import Cost
from distill_tune.tuning.deciding.budget import Budget, Reason
from distill_tune.tuning.deciding.conductor import Conductor
from distill_tune.tuning.planning.limits import NO_EXCESS, Excess
from distill_tune.tuning.proposals.study import Study
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.logbook import JOURNAL, LOGBOOK, Logbook
from distill_tune.tuning.state.records import Report, Status, TrialRecord

TABLES: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {
        "family": ["mlp", "convnet"],
        "mlp": {"widths": {"choice": [[8], [16], [32]]}},
        "convnet": {"width": {"int": [4, 8]}},
    },
    "optim": {"learning_rate": {"log": [1e-4, 1e-1]}},
    "search": {"max_epochs": 9, "trials": 24, "seed": 3, "scheduler": "asha"},
}


@contextmanager
def releasing(logbook: Logbook) -> Iterator[None]:
    try:
        yield
    finally:
        logbook.release()


class TooWide:
    """The widest networks are over the limit."""

    def excess(self, config: Config) -> Excess:
        wide = config.student.family == "convnet" and config.student.chosen("family").width == 8
        return Excess(0.5, "max_parameters", "over max_parameters 100 (150)") if wide else NO_EXCESS

    def cost(self, config: Config) -> Cost:
        family = config.student.chosen("family")
        size = family.width if config.student.family == "convnet" else sum(family.widths)
        return Cost(10 * size, 9 * size)


def report_of(conductor: Conductor, trial_id: str, epoch: int) -> Report:
    """A training that is a function of the trial's values and the epoch; every fifth trial diverges."""
    record = conductor.ledger.records[trial_id]
    rate = record.values["optim.learning_rate"]
    score = (1 - abs(rate - 0.01) * 8) * (1 - 0.5**epoch) + record.number * 1e-3
    if record.number % 5 == 4 and epoch > 1:
        score = float("nan")
    return {"epoch": epoch, "val/accuracy": score, "val/loss": 1 - score, "time/training_s": 0.5, "time/began_s": 0.0}


class Session:
    """One session of a search in a folder, one place, a trial an epoch a step."""

    def __init__(self, folder: Path, **search: Any):
        space = Space.parse({**TABLES, "search": TABLES["search"] | search})
        config = space.config.search
        self.logbook = Logbook(folder)
        history = History.of(folder)
        self.logbook.cut(history.logbook_bytes)
        self.logbook.knows(history.records)
        study = Study(folder / JOURNAL, "s", space, history.study_bytes)
        self.logbook.study_bytes = lambda: study.num_bytes
        judge = config.chosen("scheduler").judge(config)
        ledger = Ledger(config.objectives[0], [self.logbook], further=config.objectives[1:])
        limits: Any = TooWide()
        known_good = deque([space.middle()] if config.start_with == "middle" else config.start_with)
        self.conductor = Conductor(study, judge, ledger, Budget(config.trials), limits, 1, known_good)
        self.conductor.take_up(list(history.records.values()))

    def run(self) -> list[Any]:
        with releasing(self.logbook):
            while not self.conductor.is_over:
                proposal = self.conductor.propose()
                if proposal is not None:
                    self._train(f"{proposal.number:04d}")
            self.conductor.end_the_rest()
        return self.outcome

    def _train(self, trial_id: str) -> None:
        record = self.conductor.ledger.records[trial_id]
        for epoch in range(record.epochs + 1, self.conductor.judge.max_epochs + 1):
            if not self.conductor.goes_on(trial_id, [report_of(self.conductor, trial_id, epoch)]):
                break
        self.conductor.ended(trial_id, None)

    @property
    def outcome(self) -> list[Any]:
        records = self.conductor.ledger.records
        return [
            (name, records[name].values, str(records[name].status), records[name].epochs, records[name].rungs)
            for name in sorted(records)
        ]


def cut_copy(source: Path, target: Path, num_bytes: int) -> None:
    """The folder as a kill would have left it when the logbook was so long; its journal may be longer than it says."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    with (target / LOGBOOK).open("rb+") as file:
        file.truncate(num_bytes)


def goes_on_after_a_cut(folder: Path, whole: list[Any], share: float, copy: Path, **search: Any) -> None:
    """Killed when so large a share of its logbook was written, the search in `folder` ends as it has ended."""
    cut_copy(folder, copy, round(share * (folder / LOGBOOK).stat().st_size))
    assert Session(copy, **search).run() == whole


TWO = {"objectives": ["val/accuracy", "parameters"]}
PAUSING = {"scheduler": "promotion"}


Whole = tuple[Path, list[Any]]
"""A search that nobody has disturbed: its folder, and how it ended."""


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
    trials = 12 if sampler == "gp" else 14  # which is slow once it learns, from the eleventh on
    search = {"sampler": sampler, "scheduler": scheduler, "trials": trials, "objectives": objectives}
    (tmp_path / "whole").mkdir()
    whole = Session(tmp_path / "whole", **search).run()
    for share in (0.3, 0.8):
        goes_on_after_a_cut(tmp_path / "whole", whole, share, tmp_path / "cut", **search)


def test_known_good_settings_that_were_not_tried_yet_are_tried_when_it_goes_on(tmp_path: Path) -> None:
    search = {"start_with": [{"optim.learning_rate": rate} for rate in (0.01, 0.02, 0.03)], "trials": 6}
    (tmp_path / "whole").mkdir()
    whole = Session(tmp_path / "whole", **search).run()
    rates = [values["optim.learning_rate"] for _, values, *_ in whole]
    assert rates[:3] == [0.01, 0.02, 0.03]
    size = (tmp_path / "whole" / LOGBOOK).stat().st_size
    for share in (0.0, 0.1, 0.25, 0.5):
        cut_copy(tmp_path / "whole", tmp_path / "cut", round(share * size))
        assert Session(tmp_path / "cut", **search).run() == whole


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


def test_a_user_who_interrupts_leaves_the_trial_in_hand_for_later(undisturbed: Whole, tmp_path: Path) -> None:
    session = Session(tmp_path)
    proposal = session.conductor.propose()
    assert proposal is not None
    name = f"{proposal.number:04d}"
    for epoch in (1, 2):
        assert session.conductor.goes_on(name, [report_of(session.conductor, name, epoch)])
    session.conductor.budget.interrupt.requested = True
    session.conductor.ended(name, None)
    session.logbook.release()
    assert session.conductor.ledger.records[name].status is Status.INTERRUPTED
    assert {n: record.status for n, record in History.of(tmp_path).records.items()} == {name: Status.RUNNING}
    assert Session(tmp_path).run() == undisturbed[1]


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


def test_the_grid_tries_every_combination_once_and_then_says_so(tmp_path: Path) -> None:
    space = Space.parse(
        {
            **TABLES,
            "optim": {"batch_size": {"choice": [32, 64]}},
            "search": {"sampler": "grid", "trials": 100, "max_epochs": 1},
        }
    )
    study, tried = Study(tmp_path / JOURNAL, "s", space), []
    for _ in range(2 * (3 + 5)):
        proposal = study.ask()
        tried.append(json.dumps(proposal.values, sort_keys=True))
        record = TrialRecord(proposal.number, "t", proposal.values, reports=[{"epoch": 1, "val/accuracy": 0.5}])
        study.tell(record, Status.COMPLETED)
    assert len(set(tried)) == len(tried)
    with pytest.raises(DistillTuneError, match="every combination of the space has been tried"):
        study.ask()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, on which every write fails")
def test_a_full_disk_ends_the_search_and_what_is_there_goes_on_when_there_is_room(
    undisturbed: Whole, tmp_path: Path
) -> None:
    session = Session(tmp_path)
    first = session.conductor.propose()
    assert first is not None
    session._train(f"{first.number:04d}")
    session.logbook.release()
    with Path("/dev/full").open("ab", buffering=0) as full:
        session.logbook._file = full
        assert session.conductor.propose() is None
        assert session.conductor.is_over
    assert session.conductor.budget.ended_by is Reason.STORAGE
    assert "No space left" in session.conductor.why
    assert Session(tmp_path).run() == undisturbed[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, on which every write fails")
def test_a_disk_that_is_full_when_a_trial_pauses_loses_nothing_either(
    whole: Callable[..., Whole], tmp_path: Path
) -> None:
    search = PAUSING | {"start_with": []}  # else the first trial would not pause
    session = Session(tmp_path, **search)
    first = session.conductor.propose()
    assert first is not None
    name = f"{first.number:04d}"
    assert not session.conductor.goes_on(name, [report_of(session.conductor, name, 1)])
    session.logbook.release()
    with Path("/dev/full").open("ab", buffering=0) as full:
        session.logbook._file = full
        session.conductor.ended(name, None)
        session.conductor.end_the_rest()
    assert session.conductor.budget.ended_by is Reason.STORAGE
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
