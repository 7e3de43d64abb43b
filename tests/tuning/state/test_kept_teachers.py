"""A search goes on with the teacher that its trials have learned from, or is refused."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from runs import run_space

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.preparation.teacher_work import OnlyKept, TeacherWork
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher, Teacher, TeacherContext
from distill_tune.tuning.job import Job
from distill_tune.tuning.order import extended, taken_up
from distill_tune.tuning.search_context import Ready
from distill_tune.tuning.showing.display import Reporter, SteadyConsole
from distill_tune.tuning.state.claim import Claim
from distill_tune.tuning.state.logbook import JOURNAL, Entry
from distill_tune.tuning.state.origin import Origin
from distill_tune.tuning.state.records import TrialRecord

SHORT: dict[str, Any] = {"train": {"epochs": 1, "precision": "float32"}}
MEMBERS = {name: {"family": "mlp", "mlp": {"widths": [width]}, **SHORT} for name, width in (("a", 8), ("b", 16))}
SECTIONS: dict[str, dict[str, Any]] = {
    "one teacher": {"teacher": SHORT},
    "one for each fold": {"teacher": SHORT, "data": {"folds": 2}},
    "an ensemble": {"teacher": {"source": "ensemble", "ensemble": {"members": MEMBERS}}},
}


def left(folder: Path, sections: dict[str, Any], epochs: int = 1, is_finished: bool = False) -> Path:
    """The result folder of a search whose only trial has trained some epochs."""
    space = run_space(**sections)
    preparation = prepare(space, folder.parent / ".cache", lambda line: None)
    claim = Claim.of_new(folder, space, "its command", Origin.of(preparation, space))
    claim.link(preparation.prepared)
    record = TrialRecord(0, "0000", {})
    claim.logbook.trial_started(record)
    for epoch in range(1, epochs + 1):
        record.reach({"epoch": epoch, "val/accuracy": 0.5}, is_rung=False, at_s=float(epoch))
        claim.logbook.trial_reported(record)
    if is_finished:
        claim.logbook.write(Entry.FINISHED)
    claim.logbook.release()
    (folder / JOURNAL).touch()
    return folder


def goes_on(folder: Path, is_finished: bool = False) -> Ready:
    """What a session that goes on with it begins with."""
    order = extended(folder, 3, None, "more", None) if is_finished else taken_up(folder, "again", None)
    return Job(order, Reporter(SteadyConsole(), quiet=True))._taken_up()


def lose_all(cache: Path) -> None:
    shutil.rmtree(cache)


def lose_one_teacher(cache: Path) -> None:
    shutil.rmtree(sorted(cache.glob("teacher-*"))[-1])


def damage_one_teacher(cache: Path) -> None:
    kept = sorted(cache.glob("teacher-*/teacher.safetensors"))[0]
    content = kept.read_bytes()
    kept.unlink()  # it is linked to the cache of the storage
    kept.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


@pytest.mark.parametrize("is_finished", [False, True], ids=["resumed", "extended"])
@pytest.mark.parametrize("spoil", [lose_all, lose_one_teacher, damage_one_teacher])
@pytest.mark.parametrize("sections", SECTIONS.values(), ids=SECTIONS)
def test_a_search_whose_teacher_is_gone_is_refused_and_trains_no_other(
    tmp_path: Path, sections: dict[str, Any], spoil: Callable[[Path], None], is_finished: bool
) -> None:
    folder = left(tmp_path / "begun", sections, is_finished=is_finished)
    spoil(folder / "cache")
    before = {path.relative_to(folder) for path in folder.glob("cache/teacher-*/**/*")}
    with pytest.raises(TeacherError) as caught:
        goes_on(folder, is_finished)
    assert str(caught.value) == (
        f"{folder / 'cache'}: the teacher that the trials of this search have learned from is missing or damaged "
        "there; put the folder back as it was, or begin a new search."
    )
    assert {path.relative_to(folder) for path in folder.glob("cache/teacher-*/**/*")} == before


@pytest.mark.parametrize("epochs", [0, 1])
def test_one_that_has_its_teacher_or_has_trained_nobody_yet_goes_on(tmp_path: Path, epochs: int) -> None:
    folder = left(tmp_path / "begun", SECTIONS["one teacher"], epochs)
    if not epochs:
        lose_all(folder / "cache")
    ready = goes_on(folder)
    assert ready.claim is not None
    ready.claim.logbook.release()
    assert len(list(folder.glob("cache/teacher-*/teacher.safetensors"))) == 1


class Own(Teacher):
    """Trains its teacher anew in each session."""

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        return "own"

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        raise NotImplementedError


def test_a_source_of_ones_own_may_train_in_each_session(tmp_path: Path) -> None:
    class Noting(TeacherWork):
        def train(self, *asked: Any) -> Any:
            return "trained"

    work, config = OnlyKept(Noting(), tmp_path), run_space().config
    asked: Any = ({}, config, None, print)
    assert work.of_source("test_kept_teachers:Own").train(*asked) == "trained"
    with pytest.raises(TeacherError, match="missing or damaged"):
        work.of_source("train").train(*asked)
