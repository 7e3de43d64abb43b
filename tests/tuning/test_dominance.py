"""Dominance, layers and spread: what must hold for any points."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.tuning.dominance import Layers, Scores, best_of, dominates, on_front, spread

FEW = st.sampled_from([0.0, 0.25, 0.5, 1.0])  # so that equal scores are common


def points_of(most: int = 40) -> st.SearchStrategy[list[Scores]]:
    score = FEW | st.floats(-1e6, 1e6)
    by_number = st.integers(1, 4).map(lambda count: st.tuples(*[score] * count))
    return by_number.flatmap(lambda points: st.lists(points, min_size=1, max_size=most))


several = given(points=points_of())


@several
def test_nobody_on_the_front_is_dominated_and_everybody_else_is_by_somebody_on_it(points: list[Scores]) -> None:
    free = on_front(points)
    front = [point for point, is_free in zip(points, free, strict=True) if is_free]
    for point, is_free in zip(points, free, strict=True):
        assert is_free != any(dominates(other, point) for other in front)
        assert not (is_free and any(dominates(other, point) for other in points))


def test_nobody_is_on_the_front_of_nothing_or_spread_over_it() -> None:
    assert on_front([]) == []
    assert spread([], 3) == []


@several
def test_nobody_dominates_itself_or_whoever_dominates_it(points: list[Scores]) -> None:
    for one in points:
        assert not dominates(one, one)
        assert not any(dominates(one, other) and dominates(other, one) for other in points)


@several
def test_layers_that_grow_are_the_fronts_of_what_is_left(points: list[Scores]) -> None:
    layers = Layers()
    for number, point in enumerate(points):
        layers.add(str(number), point)
    left = {str(number): point for number, point in enumerate(points)}
    for layer in layers._layers:
        free = on_front(list(left.values()))
        assert layer == {name: left[name] for name, is_free in zip(left, free, strict=True) if is_free}
        left = {name: point for name, point in left.items() if name not in layer}
    assert left == {}


@given(points=points_of(20), removed=st.sets(st.integers(0, 11)))
def test_layers_from_which_points_were_taken_are_as_if_these_had_never_been_there(
    points: list[Scores], removed: set[int]
) -> None:
    layers, expected = Layers(), Layers()
    for number, point in enumerate(points[:12]):
        layers.add(str(number), point)
    for number in removed:
        layers.remove(str(number))
    for number, point in enumerate(points):
        if number >= 12:
            layers.add(str(number), point)
        if number >= 12 or number not in removed:
            expected.add(str(number), point)
    assert layers._layers == expected._layers


@given(points=points_of(12), count=st.integers(1, 12))
def test_the_best_of_layers_are_the_best_of_all_and_their_equals(points: list[Scores], count: int) -> None:
    layers = Layers()
    for number, point in enumerate(points):
        layers.add(str(number), point)
    is_among = [layers.is_among(str(number), count) for number in range(len(points))]
    among = {point for point, chosen in zip(points, is_among, strict=True) if chosen}
    assert {points[place] for place in best_of(points, count)} <= among
    assert not any(dominates(point, other) for other in among for point in points if point not in among)


@several
def test_the_best_come_layer_by_layer_each_once(points: list[Scores]) -> None:
    order = best_of(points, len(points))
    assert sorted(order) == list(range(len(points)))
    for earlier, later in pairwise(order):
        assert not dominates(points[later], points[earlier])
    assert best_of(points, 3) == order[:3]


@several
def test_spread_begins_with_the_best_by_the_first_objective_and_is_no_matter_of_arrival(points: list[Scores]) -> None:
    order = spread(points, len(points))
    assert sorted(order) == list(range(len(points)))
    assert points[order[0]] == max(points)
    again = points[::-1]
    assert [again[place] for place in spread(again, len(points))] == [points[place] for place in order]


def test_spread_goes_to_the_other_end_of_a_front_and_then_to_its_middle() -> None:
    front = [(0.99, -10_000.0), (0.98, -3_000.0), (0.95, -1_000.0), (0.9, -300.0), (0.8, -100.0)]
    assert spread(front, 3) == [0, 4, 2]


@pytest.mark.parametrize("rescaled", [lambda size: 1000 * size, lambda size: -np.log(-size)])
def test_spread_does_not_hang_on_the_unit_of_an_objective(rescaled: Callable[[float], float]) -> None:
    front = [(0.99, -10_000.0), (0.98, -9_000.0), (0.95, -1_000.0), (0.9, -300.0), (0.8, -100.0), (0.5, -99.0)]
    assert spread([(score, float(rescaled(size))) for score, size in front], 6) == spread(front, 6)


@given(points=points_of().filter(lambda points: len(points[0]) > 1))
def test_the_front_is_that_of_plain_optuna(points: list[Scores]) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=["maximize"] * len(points[0]))
    study.add_trials([optuna.create_trial(values=list(point)) for point in points])
    assert {t.number for t in study.best_trials} == {i for i, free in enumerate(on_front(points)) if free}
