"""Ranges that a space may omit: losses and initialisations bring their own; what the space sets stays."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from distill_tune.config import Space
from distill_tune.config.leaves import is_name
from distill_tune.config.load import load_space
from distill_tune.config.messages import dotted
from distill_tune.config.shipped import BESIDE_LABELS, OF_ALL_LOSSES, completed
from distill_tune.config.writing import as_toml
from distill_tune.registry import INITIALISATIONS, LOSSES, Options

BASE: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {"family": "mlp"},
    "optim": {"learning_rate": {"log": [1e-3, 1e-1]}},
}
every_loss = pytest.mark.parametrize("name", LOSSES.names)
every_init = pytest.mark.parametrize("name", INITIALISATIONS.names)


def completed_with(**sections: dict[str, Any]) -> Space:
    tables = BASE | sections
    return completed(Space.parse(tables), tables)


def ranges_in(section: str, space: Space) -> dict[str, dict[str, Any]]:
    """The ranges of a section, except those of names, as they are written."""
    found = {dotted(path[1:]): each for path, each in space.ranges.items() if path[0] == section and not is_name(path)}
    return {name: tomllib.loads(f"x = {each}")["x"] for name, each in found.items()}


def ranges_of_losses(space: Space) -> dict[str, dict[str, Any]]:
    return ranges_in("loss", space)


@every_loss
def test_naming_a_loss_brings_the_ranges_that_it_is_shipped_with(name: str) -> None:
    loss = LOSSES.get(name)
    own = {f"{name}.{key}": written for key, written in loss.ranges.items()}
    shared = {"temperature": loss.uses_teacher and loss.uses_temperature, "soft_weight": loss.uses_teacher}
    of_all = OF_ALL_LOSSES if loss.names_classes else OF_ALL_LOSSES | {"soft_weight": BESIDE_LABELS}
    expected = own | {key: of_all[key] for key, exists in shared.items() if exists}
    assert ranges_of_losses(completed_with(loss={"kind": name})) == expected


@pytest.mark.parametrize(
    ("loss", "most"),
    [
        ({"kind": "hint"}, 0.9),
        ({"kind": ["soft_targets", "sp"]}, 0.9),
        ({"kind": "hint", "also": {"soft_targets": {"choice": [0.0, 1.0]}}}, 0.9),
        ({"kind": "hint", "also": {"soft_targets": {"log": [0.1, 1.0]}}}, 1.0),
        ({"kind": "soft_targets", "also": {"hint": 1.0}}, 1.0),
        ({"kind": ["dkd", "labels"]}, 1.0),
        ({"kind": "dkd", "dkd": {"target_weight": {"choice": [1.0, 0.0]}}}, 0.9),
        ({"kind": "mlkd", "mlkd": {"batch_weight": 0.0}}, 1.0),
    ],
    ids=str,
)
def test_labels_keep_a_tenth_where_nothing_else_need_name_the_classes(loss: dict[str, Any], most: float) -> None:
    assert ranges_of_losses(completed_with(loss=loss))["soft_weight"] == {"uniform": [0.0, most]}


@every_init
def test_naming_an_initialisation_brings_the_ranges_that_it_is_shipped_with(name: str) -> None:
    own = {f"{name}.{key}": written for key, written in INITIALISATIONS.get(name).ranges.items()}
    assert ranges_in("student", completed_with(student={"family": "mlp", "init": name})) == own
    assert bool(own) == (name in ("gaussian", "inherit_progressive"))


@every_loss
def test_a_shipped_range_of_a_loss_has_the_default_in_it(name: str) -> None:
    check_defaults(LOSSES.get(name), completed_with(loss={"kind": name}), "loss", name)


@every_init
def test_a_shipped_range_of_an_initialisation_has_the_default_in_it(name: str) -> None:
    space = completed_with(student={"family": "mlp", "init": name})
    check_defaults(INITIALISATIONS.get(name), space, "student", name)


def check_defaults(entry: type[Options], space: Space, section: str, name: str) -> None:
    for key in entry.ranges:
        default = entry.model_fields[key].default
        assert space.ranges[section, name, key].contains(default), f"{key} = {default}"


@pytest.mark.parametrize("name", ["attention", "hint", "pkt", "reviewkd", "sp", "vid"])
def test_a_search_begins_with_the_default_scale_of_a_loss(name: str) -> None:
    loss = LOSSES.get(name)
    found = completed_with(loss={"kind": name}).ranges["loss", name, "scale"]
    assert found.at(0.5) == pytest.approx(loss.model_fields["scale"].default)


def test_what_the_space_says_stands() -> None:
    dkd = {"non_target_weight": 2.0}
    space = completed_with(loss={"kind": "dkd", "temperature": 4.0, "soft_weight": {"uniform": [0.5, 1.0]}, "dkd": dkd})
    assert ranges_of_losses(space) == {"soft_weight": {"uniform": [0.5, 1.0]}}
    assert space.config.loss.chosen("kind").non_target_weight == 2.0


def test_what_the_space_says_of_an_initialisation_stands() -> None:
    student = {"family": "mlp", "init": ["gaussian", "inherit_progressive"], "gaussian": {"std": 0.1}}
    space = completed_with(student=student)
    free_by = INITIALISATIONS.get("inherit_progressive").ranges["free_by"]
    assert ranges_in("student", space) == {"inherit_progressive.free_by": free_by}
    assert space.config.student.chosen("init").std == 0.1


def test_terms_that_are_added_bring_theirs_too() -> None:
    found = ranges_of_losses(completed_with(loss={"kind": "labels", "also": {"crd": {"log": [0.01, 1.0]}, "dkd": 0.0}}))
    assert found == {"also.crd": {"log": [0.01, 1.0]}, "crd.tau": LOSSES.get("crd").ranges["tau"]}


def test_a_part_of_ones_own_can_be_shipped_with_ranges(own_module: Callable[[str, str], None]) -> None:
    own_module("my_init", MY_INIT)
    space = completed_with(student={"family": "mlp", "init": "my_init:Louder"})
    assert ranges_in("student", space) == {'"my_init:Louder".gain': {"log": [0.5, 2.0]}}


MY_INIT = """
from distill_tune.distillation.initialisation import Initialisation


class Louder(Initialisation):
    ranges = {"gain": {"log": [0.5, 2.0]}}
    gain: float = 1.0

    def begin(self, student, config, materials):
        return None
"""


@pytest.mark.parametrize("weight", [0.5, {"log": [0.01, 10.0]}], ids=["fixed", "searched"])
def test_the_weight_of_a_term_that_is_only_added_is_not_searched_twice(weight: Any) -> None:
    also = {"hint": weight, "rkd": weight}
    found = ranges_of_losses(completed_with(loss={"kind": ["labels", "sp"], "also": also}))
    assert found.keys() - {f"also.{name}" for name in also} == {"soft_weight", "sp.scale", "rkd.angle_weight"}


def test_a_trial_has_the_ranges_of_the_loss_that_it_chose_alone() -> None:
    space = completed_with(loss={"kind": ["dkd", "mlkd", "labels"]})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    own = {"dkd": {"dkd.non_target_weight", "temperature", "soft_weight"}, "labels": set()}
    own["mlkd"] = {"mlkd.temperatures", "mlkd.class_weight", "soft_weight"}
    seen = set()
    for _ in range(30):
        values = space.suggest(study.ask())
        kind = values.pop("loss.kind")
        assert {name[5:] for name in values if name.startswith("loss.")} == own[kind]
        seen.add(kind)
    assert seen == set(own)


@pytest.mark.parametrize(
    "sections",
    [
        {"optim": {"learning_rate": 1e-3}},
        {"optim": {"learning_rate": {"choice": [1e-3, 1e-2]}}, "search": {"sampler": "grid"}},
    ],
    ids=["nothing is searched", "a grid has no range without an end"],
)
def test_a_space_is_left_as_it_is_where(sections: dict[str, Any]) -> None:
    space = completed_with(loss={"kind": "dkd"}, **sections)
    assert not ranges_of_losses(space)


@pytest.mark.parametrize("path", sorted(Path("search_spaces").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_spaces_say_everything_themselves(path: Path) -> None:
    assert load_space(path, [], completing=True) == load_space(path, [])


def test_a_completed_space_that_is_written_down_is_complete(tmp_path: Path) -> None:
    space = completed_with(loss={"kind": ["dkd", "dist"]})
    (tmp_path / "search.toml").write_text(as_toml(space))
    assert load_space(tmp_path / "search.toml", []) == space
    assert load_space(tmp_path / "search.toml", [], completing=True) == space
