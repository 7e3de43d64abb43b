"""Corners of a search space."""

from itertools import product

import pytest

from distill_tune.config import Space
from distill_tune.config.corners import combinations, edges_of, end_of

WIDTHS, DEPTHS, STAGES = (4, 6, 9), (1, 3), (1, 2)


@pytest.fixture
def space() -> Space:
    mlp = {"width": {"choice": list(WIDTHS)}, "depth": {"int": list(DEPTHS)}}
    resnet = {"stages": {"int": list(STAGES)}}
    student = {"family": ["mlp", "resnet"], "mlp": mlp, "resnet": resnet}
    return Space.parse({"data": {"source": "digits"}, "student": student, "loss": {"temperature": {"log": [1, 4]}}})


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


def test_every_corner_is_a_run_of_the_space(space: Space) -> None:
    for family in space.families:
        for values in edges_of(space, family):
            assert space.at(values).student.family == family
