"""The student of an earlier result as the teacher: only if it knows no test sample of the data at hand."""

from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from runs import TABLE, run_space

from distill_tune.config import read_toml
from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.errors import ConfigError, TeacherError
from distill_tune.students._folder import open_student_folder
from distill_tune.teachers import Teacher
from distill_tune.train import main

RUN = {
    **TABLE,
    "teacher": {"family": "mlp", "mlp": {"widths": [16]}, "train": {"epochs": 1}},
    "search": {"max_epochs": 1},
}


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training's result, with one seed."""
    folder = tmp_path_factory.mktemp("earlier")
    (folder / "run.toml").write_text(tomli_w.dumps(RUN))
    assert main([str(folder / "run.toml"), "--storage", str(folder), "--name", "first"]) == 0
    return folder / "first"


def prepared(path: Path, cache: Path, teacher: dict[str, Any] | None = None, **sections: Any) -> Preparation:
    told = {"source": "result", "path": str(path), **(teacher or {})}
    tables = {name: RUN.get(name, {}) | sections.get(name, {}) for name in RUN | sections} | {"teacher": told}
    return prepare(run_space({}, **tables), cache, print)


def test_the_exported_student_is_the_teacher(earlier: Path, tmp_path: Path) -> None:
    for path in (earlier, earlier / "seed-0"):
        teacher = prepared(path, tmp_path).teacher
        student = open_student_folder(earlier / "seed-0").student
        rows = torch.randn(9, 8)
        assert teacher.module is not None
        assert torch.equal(teacher.module(rows), student(rows))
        assert teacher.parameters == sum(p.numel() for p in student.parameters())
        assert not any(p.requires_grad for p in teacher.module.parameters())


def test_it_is_made_of_its_family(earlier: Path) -> None:
    section = TeacherConfig(source="result", path=str(earlier))
    assert [*Teacher.of(section).network_parts(section)] == ["mlp"]


def test_a_chain_has_as_many_links_as_one_likes(earlier: Path, tmp_path: Path) -> None:
    """Born-again networks: a student of the same size learns from the first, and a third from it."""
    path = earlier
    for link in ("second", "third"):
        run = {**RUN, "teacher": {"source": "result", "path": str(path)}}
        (tmp_path / f"{link}.toml").write_text(tomli_w.dumps(run))
        assert main([str(tmp_path / f"{link}.toml"), "--storage", str(tmp_path), "--name", link]) == 0
        assert read_toml(tmp_path / link / "seed-0" / "run.toml")["teacher"]["path"] == str(path)
        path = tmp_path / link


def test_where_it_says_how_it_is_built_is_told_to_a_student_that_is_to_begin_with_its_weights(
    earlier: Path, tmp_path: Path
) -> None:
    init = {"student": {"init": "inherit", "mlp": {"widths": [6]}}}
    with pytest.raises(
        ConfigError, match=r"to those of \[student\] in run\.toml, which is in the folder of the teacher's"
    ):
        prepared(earlier, tmp_path, **init)
    told = read_toml(earlier / "seed-0" / "run.toml")["student"]
    copied = {"family": told["family"], told["family"]: told[told["family"]]}
    assert prepared(earlier, tmp_path, copied, **init).teacher.module is not None


def test_a_student_can_begin_with_its_weights(earlier: Path, tmp_path: Path) -> None:
    init = {"student": {"init": "inherit", "mlp": {"widths": [6]}}}
    preparation = prepared(earlier, tmp_path, {"family": "mlp", "mlp": {"widths": [12]}}, **init)
    assert (preparation.prepared.teacher_folder / "weights.safetensors").exists()
    with pytest.raises(TeacherError, match=r"^teacher\.family: the teacher's weights are not those of 'mlp'"):
        prepared(earlier, tmp_path, {"family": "mlp", "mlp": {"widths": [13]}}, **init)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"seed": 1}, "has learned other data, or another split of them, so that it may know test samples"),
        ({"test": 0.3}, "has learned other data, or another split"),
        ({"blobs": {**TABLE["data"]["blobs"], "seed": 5}}, "has learned other data, or another split"),
        (
            {"blobs": {**TABLE["data"]["blobs"], "features": 9}},
            r"reads samples of shape \(8,\), but the data have \(9,\)",
        ),
        (
            {"blobs": {**TABLE["data"]["blobs"], "classes": 3}},
            r"knows 4 classes \(.*\), but the data have 3 \(.*same order",
        ),
    ],
)
def test_other_data_are_refused(earlier: Path, tmp_path: Path, data: dict[str, Any], message: str) -> None:
    refused(earlier, tmp_path, message, data=data)


@pytest.mark.parametrize(
    "data", [{"passes": 2}, {"student_samples": 50}, {"student_samples": 50, "rest": "unlabelled"}]
)
def test_what_changes_no_sample_of_a_split_may_differ(earlier: Path, tmp_path: Path, data: dict[str, Any]) -> None:
    prepared(earlier, tmp_path, data=data)


def test_what_holds_no_student_is_refused(earlier: Path, tmp_path: Path) -> None:
    refused(tmp_path / "nothing", tmp_path, "holds no student")
    several = tmp_path / "several"
    for seed in range(2):
        (several / f"seed-{seed}").mkdir(parents=True)
    refused(several, tmp_path, r"holds 2 students; name one of them, such as '.*seed-0'\.$")
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for name in ("run.toml", "student.json", "student.safetensors"):
        (damaged / name).write_bytes((earlier / "seed-0" / name).read_bytes())
    prepared(damaged, tmp_path)
    (damaged / "student.safetensors").write_bytes(b"x" * 100)
    refused(damaged, tmp_path, r"the student cannot be read")


def refused(path: Path, cache: Path, message: str, **sections: Any) -> None:
    with pytest.raises(TeacherError, match=message) as caught:
        prepared(path, cache, **sections)
    assert str(caught.value).startswith("teacher.path: ")
    assert "\n" not in str(caught.value)
