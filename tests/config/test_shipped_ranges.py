"""What a space need not say: every loss has ranges of its own, and what the space does say stands."""

import tomllib
from pathlib import Path
from typing import Any

import optuna
import pytest

from distill_tune.config import Space
from distill_tune.config.load import load_space
from distill_tune.config.messages import dotted
from distill_tune.config.shipped import OF_ALL_LOSSES, completed
from distill_tune.config.writing import as_toml
from distill_tune.registry import LOSSES

BASE: dict[str, Any] = {
    "data": {"source": "digits"},
    "student": {"family": "mlp"},
    "optim": {"learning_rate": {"log": [1e-3, 1e-1]}},
}
every_loss = pytest.mark.parametrize("name", LOSSES.names)


def completed_with(**sections: dict[str, Any]) -> Space:
    tables = BASE | sections
    return completed(Space.parse(tables), tables)


def ranges_of_losses(space: Space) -> dict[str, dict[str, Any]]:
    """The ranges of `[loss]`, as they are written."""
    found = {dotted(path).removeprefix("loss."): each for path, each in space.ranges.items() if path[0] == "loss"}
    return {name: tomllib.loads(f"x = {each}")["x"] for name, each in found.items() if name != "kind"}


@every_loss
def test_naming_a_loss_brings_the_ranges_that_it_is_shipped_with(name: str) -> None:
    loss = LOSSES.get(name)
    own = {f"{name}.{key}": written for key, written in loss.ranges.items()}
    shared = {"temperature": loss.uses_teacher and loss.uses_temperature, "soft_weight": loss.uses_teacher}
    expected = own | {key: OF_ALL_LOSSES[key] for key, exists in shared.items() if exists}
    assert ranges_of_losses(completed_with(loss={"kind": name})) == expected


@every_loss
def test_a_shipped_range_is_of_an_option_whose_default_lies_in_it(name: str) -> None:
    loss = LOSSES.get(name)
    space = completed_with(loss={"kind": name})
    for key in loss.ranges:
        default = loss.model_fields[key].default
        assert space.ranges["loss", name, key].contains(default), f"{key} = {default}"


def test_what_the_space_says_stands() -> None:
    dkd = {"non_target_weight": 2.0}
    space = completed_with(loss={"kind": "dkd", "temperature": 4.0, "soft_weight": {"uniform": [0.5, 1.0]}, "dkd": dkd})
    assert ranges_of_losses(space) == {"soft_weight": {"uniform": [0.5, 1.0]}}
    assert space.config.loss.chosen("kind").non_target_weight == 2.0


def test_terms_that_are_added_bring_theirs_too() -> None:
    found = ranges_of_losses(completed_with(loss={"kind": "labels", "also": {"crd": {"log": [0.01, 1.0]}, "dkd": 0.0}}))
    assert found == {"also.crd": {"log": [0.01, 1.0]}, "crd.tau": LOSSES.get("crd").ranges["tau"]}


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
