"""Keys of `[teacher]` that the chosen source does not read are reported, above all a file."""

from pathlib import Path
from typing import Any

import pytest
from ensembles import BIG, SMALL, space_of
from runs import run_space

from distill_tune import search
from distill_tune.config import load_space
from distill_tune.distillation.preparation.prepare import announced_data
from distill_tune.registry import TEACHERS
from distill_tune.teachers import unread_keys

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.toml"))
TABLES = {"torch": {"factory": "builtins:object"}, "timm": {"model": "resnet18"}, "ensemble": {"members": {"a": BIG}}}
NEEDED = {name: {"path": "old.npy"} for name in TEACHERS.names if "path" in TEACHERS.get(name).needs}


def said_of(**teacher: Any) -> list[str]:
    return unread_keys(run_space(teacher=teacher).config.teacher)


def test_a_file_beside_a_teacher_that_is_trained_here_is_said_where_data_are_announced(tmp_path: Path) -> None:
    said = list[str]()
    announced_data(run_space(teacher={"path": "old.npy"}).config, tmp_path, said.append)
    assert said[-1] == (
        "warning: teacher.path has no effect, since teacher.source = 'train' does not read it; leave it out, or choose "
        "a source that does (huggingface, keras, logits, onnx, result, timm, torch)"
    )


def test_a_dry_run_says_it_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--set", "teacher.path=old.npy", "--storage", str(tmp_path)]
    assert search.main(["search_spaces/digits.toml", "--dry-run", *given]) == 0
    assert "warning: teacher.path has no effect, since teacher.source = 'train' " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "keys"),
    [
        ("train", ["path", "trust"]),
        ("logits", ["family", "trust"]),
        ("onnx", ["family", "trust"]),
        ("timm", ["trust"]),
        ("huggingface", ["trust"]),
        ("result", ["trust"]),
        ("torch", []),
        ("keras", []),
        ("ensemble", ["path", "family", "trust"]),
    ],
)
def test_each_source_says_which_keys_it_does_not_read(source: str, keys: list[str]) -> None:
    everything = {"path": "old.npy", "family": "mlp", "trust": True, **{name: TABLES[name] for name in TABLES}}
    said = said_of(source=source, **everything)
    assert [line.split()[1] for line in said] == [f"teacher.{key}" for key in keys]


@pytest.mark.parametrize(("mode", "keys"), [("live", ["views", "keep"]), ("cached", [])])
def test_a_teacher_that_runs_live_says_that_it_has_no_views_and_keeps_no_logits(mode: str, keys: list[str]) -> None:
    assert said_of(mode=mode, views=5, keep=3) == [
        f"warning: teacher.{key} has no effect, since teacher.mode = 'live' labels no views beforehand; leave it out, "
        "or use 'cached'"
        for key in keys
    ]
    assert said_of(mode=mode) == []


@pytest.mark.parametrize("name", TEACHERS.names)
def test_what_waits_in_tables_of_other_sources_is_not_said(name: str) -> None:
    section = {"source": name, "trust": False, **NEEDED.get(name, {}), **TABLES, "keras": {}, "train": {"epochs": 3}}
    section |= {"family": "mlp"} if name == "train" else {"family": None}
    assert said_of(**section) == []


def test_members_of_an_ensemble_are_looked_at_by_themselves() -> None:
    section = space_of(members={"big": BIG | {"path": "old.npy"}, "small": SMALL}).config.teacher
    assert [line.split(",")[0] for line in unread_keys(section)] == [
        "warning: teacher.ensemble.members.big.path has no effect"
    ]


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.name)
def test_a_shipped_space_has_no_such_key(path: Path) -> None:
    assert unread_keys(load_space(path, []).config.teacher) == []
