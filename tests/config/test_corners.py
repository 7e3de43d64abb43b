"""Corners of a search space."""

import math
from itertools import product
from typing import Any

import pytest

from distill_tune.config import Space
from distill_tune.config.corners import combinations, edges_of, end_of, num_combinations, of_every_trial, of_some_trial
from distill_tune.config.messages import dotted

WIDTHS, DEPTHS, STAGES = (4, 6, 9), (1, 3), (1, 2)


@pytest.fixture
def space() -> Space:
    return with_loss({"temperature": {"log": [1, 4]}})


def with_loss(loss: dict[str, Any]) -> Space:
    mlp = {"width": {"choice": list(WIDTHS)}, "depth": {"int": list(DEPTHS)}}
    student = {"family": ["mlp", "resnet"], "mlp": mlp, "resnet": {"stages": {"int": list(STAGES)}}}
    return Space.parse({"data": {"source": "digits"}, "student": student, "loss": loss})


def mlp(width: int, depth: int) -> dict[str, object]:
    return {"student.family": "mlp", "student.mlp.width": width, "student.mlp.depth": depth}


def test_an_end_has_all_ranges_of_the_family_there_and_none_of_another(space: Space) -> None:
    assert end_of(space, "mlp", 0) == mlp(WIDTHS[0], DEPTHS[0])
    assert end_of(space, "mlp", -1) == mlp(WIDTHS[-1], DEPTHS[-1])
    assert end_of(space, "resnet", -1) == {"student.family": "resnet", "student.resnet.stages": STAGES[-1]}


def test_edges_are_both_ends_and_then_each_range_at_each_of_its_other_corners(space: Space) -> None:
    assert list(edges_of(space, "mlp")) == [mlp(4, 1), mlp(9, 3), mlp(6, 1), mlp(9, 1), mlp(4, 3)]


def test_combinations_are_every_corner_with_every_other(space: Space) -> None:
    found = [tuple(values.values()) for values in combinations(space.ranges_of("mlp"))]
    assert found == list(product(WIDTHS, DEPTHS))


def test_without_ranges_there_is_one_combination_which_says_nothing() -> None:
    assert list(combinations({})) == [{}]


@pytest.mark.parametrize(
    ("loss", "of_each_student"),
    [
        ({"temperature": 4.0}, 1),
        ({"temperature": {"choice": [1.0, 2.0, 4.0]}}, 3),
        ({"kind": ["labels", "soft_targets"], "temperature": {"choice": [1.0, 2.0, 4.0]}}, 1 + 3),
        ({"kind": ["labels", "label_smoothing"], "temperature": {"log": [1.0, 4.0]}}, 2),
        ({"temperature": {"log": [1.0, 4.0]}}, math.inf),
    ],
)
def test_a_range_multiplies_the_combinations_of_those_trials_alone_that_have_it(
    loss: dict[str, Any], of_each_student: float
) -> None:
    students = len(WIDTHS) * len(range(1, 3 + 1)) + len(STAGES)
    assert num_combinations(with_loss(loss)) == students * of_each_student


def test_a_space_without_ranges_has_one_combination() -> None:
    assert num_combinations(Space.parse({"data": {"source": "digits"}, "student": {"family": "mlp"}})) == 1


def test_every_corner_is_a_run_of_the_space(space: Space) -> None:
    for family in space.families:
        for values in edges_of(space, family):
            assert space.at(values).student.family == family


def test_ranges_of_what_can_be_chosen_are_of_some_trial_and_others_are_of_none(space: Space) -> None:
    assert set(of_some_trial(space)) == set(space.ranges)
    tables = {**space.tables, "student": {"family": "mlp", "resnet": {"stages": {"int": [1, 2]}}}}
    tables["loss"] = {"kind": ["labels", "dkd"], "temperature": {"log": [1, 4]}, "also": {"sp": {"uniform": [0, 1]}}}
    known = Space.parse(tables)
    assert {dotted(path) for path in known.ranges.keys() - of_some_trial(known)} == {"student.resnet.stages"}
    cold = Space.parse({**tables, "loss": {"kind": "labels", "temperature": {"log": [1, 4]}}})
    assert {dotted(path) for path in cold.ranges.keys() - of_some_trial(cold)} == {
        "student.resnet.stages",
        "loss.temperature",
    }


def test_ranges_that_no_trial_can_be_without_hang_on_no_choice(space: Space) -> None:
    assert {dotted(path) for path in of_every_trial(space)} == {"student.family", "loss.temperature"}
    loss = {"kind": ["labels", "dkd"], "temperature": {"log": [1, 4]}, "also": {"dist": {"choice": [0.0, 0.5]}}}
    some = Space.parse({**space.tables, "loss": loss})
    assert {dotted(path) for path in of_every_trial(some)} == {"loss.kind", "loss.also.dist"}
    always = Space.parse({**space.tables, "loss": {**loss, "also": {"dist": 0.5}}})
    assert {dotted(path) for path in of_every_trial(always)} == {"loss.kind", "loss.temperature"}


@pytest.mark.parametrize(
    ("use", "lacking"),
    [
        (None, set()),
        ({"choice": ["big", ["big", "small"]]}, set()),
        ({"choice": ["big", "small"]}, {"big", "small"}),
        ({"choice": ["small", ["big", "third"]]}, {"small"}),
        ("big", {"big", "small"}),
        (["big", "third"], {"small"}),
    ],
)
def test_a_weight_of_a_mix_that_no_trial_makes_is_of_none(use: Any, lacking: set[str]) -> None:
    members = {name: {"family": "mlp", "mlp": {"width": w}} for name, w in (("big", 9), ("small", 4), ("third", 5))}
    ensemble = {"members": members, "weights": {name: {"log": [0.2, 5.0]} for name in ("big", "small")}}
    ensemble |= {} if use is None else {"use": use}
    space = Space.parse(
        {
            "data": {"source": "digits"},
            "teacher": {"source": "ensemble", "ensemble": ensemble},
            "student": {"family": "mlp"},
        }
    )
    assert {path[-1] for path in space.ranges.keys() - of_some_trial(space)} == lacking
