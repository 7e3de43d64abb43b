"""A student's folder outlives an edit of its family: it has all options, and a mark of the code."""

import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from runs import TABLE

from distill_tune import load_student, predict, train
from distill_tune.config import read_toml
from distill_tune.students._folder import open_student_folder

WAVES = """
from enum import Enum

import torch
from torch import nn


class Kind(str, Enum):
    PLAIN = "plain"


class Net(nn.Module):
    def __init__(
        self,
        input_shape,
        classes,
        width: int = 6,
        pitch: float = 1,
        sizes: tuple[int, ...] = (3, 4),
        untyped=(1, 2),
        kind=Kind.PLAIN,
        norm=nn.LayerNorm,
        bias: bool | None = None,
    ):
        super().__init__()
        self.pitch = pitch
        self.hidden, self.head = nn.Linear(*input_shape, width), nn.Linear(width, classes)

    def forward(self, rows):
        return self.head(torch.sin(self.pitch * self.hidden(rows)))
"""
NAME = "my_waves:Net"
TEACHER = {**TABLE["teacher"], "train": {"epochs": 1}}
CHANGED = (
    "'my_waves:Net' has changed since the student in .* was trained, in the code that it is made of or in a library's "
    "version: its answers may differ; restore what it was made of, or train it again"
)


@pytest.fixture
def best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a student of one's own family, of whose options one is configured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    edit("", "")
    train_as("first")
    yield tmp_path / "first" / "seed-0"
    sys.modules.pop("my_waves", None)


def edit(old: str, new: str) -> None:
    """Write the module with a part of it replaced, as if by the user, and forget what has been imported."""
    Path("my_waves.py").write_text(WAVES.replace(old, new) if old else WAVES)
    sys.modules.pop("my_waves", None)


def train_as(name: str, **sections: Any) -> None:
    run = {**TABLE, "student": {"family": NAME, NAME: {"width": 5}}, "search": {"max_epochs": 1}, "teacher": TEACHER}
    Path(f"{name}.toml").write_text(tomli_w.dumps(run | sections))
    assert train.main([f"{name}.toml", "--storage", ".", "--name", name]) == 0


ROWS = np.random.default_rng(0).normal(size=(20, 8))


def test_the_folder_has_all_options_that_toml_can_hold_so_that_a_changed_default_changes_no_answer(best: Path) -> None:
    assert read_toml(best / "run.toml")["student"][NAME] == {"width": 5, "pitch": 1, "sizes": [3, 4]}
    before = load_student(best).probabilities(ROWS)
    edit("pitch: float = 1,", "pitch: float = 4,")
    np.testing.assert_array_equal(load_student(best, lambda line: None).probabilities(ROWS), before)
    assert train.main([str(best / "run.toml"), "--storage", ".", "--name", "again"]) == 0
    assert read_toml(Path("again/seed-0/run.toml"))["student"] == read_toml(best / "run.toml")["student"]


def test_a_family_of_ours_is_written_in_full_too(tmp_path: Path, best: Path) -> None:
    train_as("second", student={"family": "mlp", "mlp": {"width": 7}})
    told = {"width": 7, "depth": 2, "activation": "relu", "dropout": 0.0}
    assert read_toml(tmp_path / "second/seed-0/run.toml")["student"]["mlp"] == told
    assert "code" not in json.loads((tmp_path / "second/seed-0/student.json").read_text())


def test_an_edited_family_is_warned_of_wherever_its_student_is_used(
    best: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with warnings.catch_warnings(action="error"):
        load_student(best)
    edit("torch.sin", "torch.cos")
    with pytest.warns(UserWarning, match=CHANGED):
        load_student(best)
    np.save("rows.npy", ROWS)
    assert predict.main([str(best), "rows.npy", "-o", "out.csv"]) == 0
    assert capsys.readouterr().err.startswith("warning: 'my_waves:Net' has changed since the student in ")
    train_as("chained", teacher={"source": "result", "path": str(best)})
    assert "warning: teacher: 'my_waves:Net' has changed since the student in " in "".join(capsys.readouterr())


def test_a_folder_of_an_older_version_which_has_no_mark_of_the_code_is_opened_in_silence(best: Path) -> None:
    told = json.loads((best / "student.json").read_text())
    assert told.pop("code")
    (best / "student.json").write_text(json.dumps(told))
    edit("torch.sin", "torch.cos")
    assert open_student_folder(best).warning == ""


def test_an_edit_while_the_student_trains_is_not_taken_for_the_code_that_has_trained_it(
    best: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit("", "")
    train_seed = train._train_seed

    def edited(*arguments: Any) -> dict[str, Any]:
        Path("my_waves.py").write_text(WAVES.replace("torch.sin", "torch.cos"))
        return train_seed(*arguments)

    monkeypatch.setattr(train, "_train_seed", edited)
    train_as("late")
    late = json.loads(Path("late/seed-0/student.json").read_text())
    assert late["code"] == json.loads((best / "student.json").read_text())["code"]


def test_a_script_elsewhere_is_told_where_python_has_looked_for_the_family_and_how_it_finds_it(
    best: Path, tmp_path: Path
) -> None:
    script, ours = tmp_path / "scripts" / "use.py", Path(train.__file__).parents[1]
    script.parent.mkdir()
    script.write_text(f"import distill_tune; distill_tune.load_student({str(best)!r})")

    def ran(*folders: Path) -> str:
        named = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        command = [sys.executable, str(script)]
        return subprocess.run(command, env=named, cwd=tmp_path, capture_output=True, text=True, check=False).stderr

    assert ran(ours).endswith(
        f"'my_waves:Net': there is no module 'my_waves' in {script.parent} or in {ours} or among the installed "
        "packages; set PYTHONPATH to the folder that has it.\n"
    )
    assert ran(ours, tmp_path) == ""
