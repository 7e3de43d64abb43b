"""Ensembles that are invalid, or cannot do what is asked of them, are refused in one line."""

from math import nan
from pathlib import Path
from typing import Any

import pytest
from ensembles import BIG, SMALL, space_of
from runs import run_space
from safetensors.torch import save_file
from torch import nn

from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError, InputError, TeacherError


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": {}}, r"^teacher\.ensemble\.members: "),
        ({"members": {"a": 3}}, r"^teacher\.ensemble\.members\.a: must be a table like \[teacher\], but got 3\.$"),
        ({"members": {"a b": BIG}}, r'^teacher\.ensemble\.members\."a b": a member\'s name has letters'),
        ({"members": {"a": {"source": "tran"}}}, r"^teacher\.ensemble\.members\.a\.source: .*Did you mean 'train'"),
        ({"members": {"a": {"source": "logits"}}}, r"^teacher\.ensemble\.members\.a\.path: this key is required"),
        ({"members": {"a": BIG | {"path": 3}}}, r"^teacher\.ensemble\.members\.a\.path: must be a string, but got 3\."),
        (
            {"members": {"a": BIG, "b": SMALL, "c": {**BIG, "path": None}}},
            r"^teacher\.ensemble\.members\.c: is the same teacher as 'a'; give it a seed or a file of its own",
        ),
        (
            {"members": {"a": BIG | {"mode": "live"}}},
            r"^teacher\.ensemble\.members\.a\.mode: .* write teacher\.mode\.$",
        ),
        (
            {"members": {"a": BIG | {"keep": 3}}},
            r"^teacher\.ensemble\.members\.a\.keep: .* write teacher\.keep\.$",
        ),
        (
            {"members": {"a": {"source": "ensemble", "ensemble": {"members": {"b": BIG}}}}},
            r"^teacher\.ensemble\.members\.a\.source: a member cannot be several teachers itself",
        ),
        (
            {"members": {"a": {"source": "ensemble"}}},
            r"^teacher\.ensemble\.members\.a\.source: a member cannot be several teachers itself",
        ),
        (
            {"members": {"a": BIG}, "average": {"choice": ["logits", "probabilities"]}},
            r"^teacher\.ensemble\.average: .* every trial, but for the weights and the use of an ensemble; \[stu",
        ),
        ({"weights": {"bug": 1.0}}, r"^teacher\.ensemble\.weights\.bug: no member is named 'bug'.*Did you mean 'big'"),
        ({"weights": {"big": 0.0}}, r"^teacher\.ensemble\.weights\.big: must be greater than 0, but got 0\.0\."),
        ({"weights": {"big": {"uniform": [0.0, 1.0]}}}, r"^teacher\.ensemble\.weights\.big: must be greater than 0"),
        ({"use": []}, r"^teacher\.ensemble\.use: must name each member that takes part once, but got \[\]\.$"),
        ({"use": ["big", "big"]}, r"^teacher\.ensemble\.use: must name each member that takes part once"),
        (
            {"use": {"choice": ["big", "huge"]}},
            r"^teacher\.ensemble\.use: no member is named 'huge'; there are big, small",
        ),
        (
            {"average": {"choice": ["logits", "probabilities"]}},
            r"^teacher\.ensemble\.average: .*the same for every trial",
        ),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        space_of(**{"members": {"big": BIG, "small": SMALL}, **change})
    assert "\n" not in str(caught.value)


def test_losses_on_features_are_refused(tmp_path: Path) -> None:
    base = run_space().tables | {"loss": {"kind": "hint"}}
    with pytest.raises(ConfigError, match=r"^loss: 'hint' compares features, but source = 'ensemble' is several"):
        prepare(space_of(base=base), tmp_path, print)
    assert not list(tmp_path.glob("teacher-*"))


@pytest.mark.parametrize("change", [{"student": {"init": "inherit"}}, {"regularization": {"norm_ratio": 1.0}}])
def test_a_student_that_needs_the_weights_of_one_teacher_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    tables = run_space().tables
    base = {name: tables.get(name, {}) | change.get(name, {}) for name in tables | change}
    with pytest.raises(InputError, match=r"needs the teacher's weights, but source = 'ensemble' is several"):
        prepare(space_of(base=base), tmp_path, print)
    assert not list(tmp_path.glob("teacher-*"))


def linear(inputs: int) -> nn.Module:
    return nn.Linear(inputs, 4)


def member(path: Path, inputs: int = 8, bias: float = 0.0) -> dict[str, Any]:
    network = linear(inputs)
    nn.init.constant_(network.bias, bias)  # type: ignore[arg-type]
    save_file(network.state_dict(), path)
    factory = {"factory": "test_ensemble_refusals:linear", "arguments": {"inputs": inputs}}
    return {"source": "torch", "path": str(path), "torch": factory}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs": 9}, r"^teacher\.ensemble\.members\.old\.torch: the network cannot take inputs of shape \(8,\) "),
        ({"bias": nan}, r"^teacher\.ensemble\.members\.old: one of its logits is not a finite number; check its we"),
    ],
)
def test_a_member_that_cannot_be_used_is_refused_by_its_name_before_another_is_trained(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    members, said = {"big": BIG, "old": member(tmp_path / "old.safetensors", **change)}, list[str]()
    with pytest.raises(TeacherError, match=message) as caught:
        prepare(space_of(members), tmp_path / "cache", said.append)
    assert "\n" not in str(caught.value)
    assert not any("training the teacher" in line for line in said)
