"""Ranges: what they contain, how they are written, and what is tried before they are accepted."""

import tomllib
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill_tune.config.ranges import Choice, Interval, is_range, looks_like_range, parse_range

PATH = ("loss", "temperature")
choices = st.lists(st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2), min_size=1, unique_by=str)


def pairs(low: float, high: float) -> Any:
    return st.tuples(st.floats(low, high), st.floats(low, high)).map(sorted).filter(lambda ends: ends[0] < ends[1])


def written(kind: str, ends: list[float]) -> dict[str, Any]:
    return {kind: [int(end) for end in ends] if kind.endswith("int") else ends}


kinds = st.sampled_from(["int", "uniform", "log", "log_int"])
intervals = st.builds(written, kinds, pairs(1, 1e6)).filter(lambda value: len(set(next(iter(value.values())))) == 2)
ranges = intervals | st.builds(lambda values: {"choice": values}, choices)


def sampled(value: dict[str, Any], seed: int) -> Any:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    return parse_range(PATH, value).suggest(study.ask(), "loss.temperature")


@given(ranges, st.integers(0, 2**32 - 1))
def test_what_is_sampled_lies_in_the_range(value: dict[str, Any], seed: int) -> None:
    found = sampled(value, seed)
    assert parse_range(PATH, value).contains(found)
    assert isinstance(found, int) or not next(iter(value)).endswith("int")


@given(ranges)
def test_corners_and_probes_lie_in_the_range(value: dict[str, Any]) -> None:
    found = parse_range(PATH, value)
    assert all(found.contains(each) for each in (*found.corners(), *found.probes()))
    assert set(map(str, found.corners())) <= set(map(str, found.probes()))


@given(ranges, st.floats(0.0, 1.0))
def test_a_value_so_far_into_a_range_is_of_the_range(value: dict[str, Any], share: float) -> None:
    found = parse_range(PATH, value)
    assert found.contains(found.at(share))


@given(intervals)
def test_the_way_through_an_interval_leads_from_end_to_end(value: dict[str, Any]) -> None:
    found = parse_range(PATH, value)
    stops = [found.at(share / 8) for share in range(9)]
    assert stops == sorted(stops)
    assert (stops[0], stops[-1]) == pytest.approx(found.corners())


@pytest.mark.parametrize(
    ("value", "middle"),
    [
        ({"log": [1.0, 16.0]}, 4.0),
        ({"uniform": [0.0, 1.0]}, 0.5),
        ({"log_int": [10, 1000]}, 100),
        ({"int": [1, 3]}, 2),
        ({"choice": [256, 64, 128]}, 128),
        ({"choice": [0.0, 0.1]}, 0.0),
        ({"choice": [[8], [16], [16, 16]]}, [16]),
        ({"choice": ["gelu", "relu", "silu"]}, "gelu"),
        ({"choice": [True, False]}, True),
    ],
)
def test_the_middle_is_by_the_logarithm_by_size_or_the_first_name(value: dict[str, Any], middle: Any) -> None:
    assert parse_range(PATH, value).at(0.5) == (pytest.approx(middle) if isinstance(middle, float) else middle)


@given(intervals)
def test_an_interval_is_shown_as_it_is_written(value: dict[str, Any]) -> None:
    found = parse_range(PATH, value)
    assert parse_range(PATH, tomllib.loads(f"value = {found}")["value"]) == found


@given(st.integers(1, 50), st.integers(1, 2000), st.integers(2, 12))
def test_the_probes_of_integers_show_that_not_all_can_be_divided(low: int, size: int, divisor: int) -> None:
    assert any(probe % divisor for probe in Interval(low, low + size, integer=True, log=False).probes())


def test_every_one_of_few_integers_is_tried() -> None:
    assert parse_range(PATH, {"int": [3, 7]}).probes() == (3, 4, 5, 6, 7)


def test_an_interval_does_not_contain_what_lies_between_its_integers_nor_booleans() -> None:
    integers = parse_range(PATH, {"int": [1, 3]})
    assert integers.contains(2)
    assert not any(integers.contains(value) for value in (0, 4, 1.5, True, "2"))
    assert not parse_range(PATH, {"uniform": [0, 1]}).contains(True)


@pytest.mark.parametrize(
    ("value", "integers"),
    [
        ({"uniform": [1.5, 4.5]}, Interval(2, 4, integer=True, log=False)),
        ({"log": [1, 3]}, Interval(1, 3, integer=True, log=True)),
        ({"uniform": [1.5, 2.5]}, None),
    ],
)
def test_the_integers_of_an_interval(value: dict[str, Any], integers: Interval | None) -> None:
    found = parse_range(PATH, value)
    assert isinstance(found, Interval)
    assert found.with_integers() == integers


def test_lists_go_through_the_sampler_as_text_and_come_back_as_lists() -> None:
    trial = optuna.trial.FixedTrial({"student.mlp.widths": "[64]"})
    assert Choice(([20, 20], [64])).suggest(trial, "student.mlp.widths") == [64]
    assert trial.distributions["student.mlp.widths"].choices == ("[20, 20]", "[64]")


@pytest.mark.parametrize("value", [{"int": 3}, {"log": [1, 2]}, {"choice": []}])
def test_a_table_with_one_key_that_names_a_kind_is_meant_as_a_range(value: Any) -> None:
    assert is_range(value)


@pytest.mark.parametrize("value", [{}, {"width": 3}, {"int": [1, 2], "log": [1, 2]}, [1, 2], 3, "int"])
def test_anything_else_is_not(value: Any) -> None:
    assert not is_range(value)
    assert not looks_like_range(value)


@pytest.mark.parametrize("kind", ["unifrom", "Choice", "choices", "log_itn", "lgo"])
def test_a_slip_in_the_kind_is_seen(kind: str) -> None:
    assert looks_like_range({kind: [1, 2]})


@pytest.mark.parametrize(
    ("values", "written", "expected"),
    [((8, 16), 8.0, 8), (([8], [16, 4]), [8.0], "[8]"), (("a", "b"), "b", "b"), ((0.5, 1.0), 1, 1.0)],
)
def test_a_value_that_equals_one_of_a_choice_is_that_one_to_optuna(
    values: tuple[Any, ...], written: Any, expected: Any
) -> None:
    found = Choice(values).as_optuna(written)
    assert found == expected
    assert type(found) is type(expected)
