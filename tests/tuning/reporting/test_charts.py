"""The charts of a report, in every state of a search, validated by plotly's own checks."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import STATES, is_well_made, of_trials

from distill_tune.config.ranges import Choice, Interval
from distill_tune.tuning.reporting.charts._base import (
    BASELINE_COLOURS,
    COLOURS,
    FAINT,
    WINNER,
    better_part,
    cost_axis,
    plain,
    range_axis,
)
from distill_tune.tuning.reporting.charts.compared import examined, sizes, so_far
from distill_tune.tuning.reporting.charts.corruptions import corruptions
from distill_tune.tuning.reporting.charts.curves import curves
from distill_tune.tuning.reporting.charts.front import front
from distill_tune.tuning.reporting.charts.importance import importance
from distill_tune.tuning.reporting.charts.parallel import parallel
from distill_tune.tuning.reporting.charts.progress import progress
from distill_tune.tuning.reporting.charts.slices import slices
from distill_tune.tuning.reporting.charts.verdict import accuracies, differences
from distill_tune.tuning.reporting.page import CHARTS
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.records import Status

ResultIn = Callable[[str], Result]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", CHARTS)
def test_every_chart_is_well_made_or_left_out(name: str, state: str, result_in: ResultIn) -> None:
    chart = CHARTS[name](result_in(state))
    if chart is not None:
        is_well_made(chart.figure)
        assert chart.data
        assert chart.said.endswith(".")


@pytest.mark.parametrize("name", CHARTS)
def test_of_a_complete_search_there_is_every_chart_and_of_one_without_trials_none(
    name: str, result_in: ResultIn
) -> None:
    assert CHARTS[name](result_in("complete")) is not None
    assert CHARTS[name](result_in("without_a_trial")) is None


@pytest.mark.parametrize("chart", [examined, sizes, so_far])
def test_charts_of_several_results_are_well_made(chart: Callable[..., Any], result_in: ResultIn) -> None:
    found = chart([result_in("complete"), result_in("of_several_objectives"), result_in("unfinished")])
    if chart is sizes:  # both winners have the same size
        assert found is None
    else:
        is_well_made(found.figure)


def test_searches_for_different_things_have_no_common_progress(result_in: ResultIn) -> None:
    assert so_far([result_in("complete"), result_in("of_a_loss")]) is None


@pytest.mark.parametrize(("state", "better"), [("complete", max), ("of_a_loss", min)])
def test_progress_ends_at_the_best_of_all_rungs_and_ends_and_only_gets_better(
    state: str, better: Callable[..., float], result_in: ResultIn
) -> None:
    result = result_in(state)
    chart = progress(result)
    assert chart is not None
    values = chart.data[0]["y"]
    compared = [
        result.value(trial, report)
        for trial in result.trials
        for report in trial.reports
        if report["epoch"] in (*trial.rungs, trial.epochs)
    ]
    assert values[-1] == better(value for value in compared if not math.isnan(value))
    assert values == sorted(values, reverse=better is min)
    assert chart.data[0]["x"][-1] == result.num_epochs


def test_what_alone_decides_mattered_most(result_in: ResultIn) -> None:
    chart = importance(result_in("complete"))
    assert chart is not None
    assert chart.data[0]["y"][-1] == "learning_rate"  # played trials' scores depend on it alone, but for their number
    assert sum(chart.data[0]["x"]) == pytest.approx(1.0)
    assert "Not ranked, since only some trials have them: mlp.widths, convnet.width." in chart.said


def test_a_range_searched_by_its_logarithm_matters_over_all_of_its_decades() -> None:
    dice = random.Random(0)
    values = [
        {"optim.learning_rate": 10 ** dice.uniform(-6, 0), "optim.momentum": dice.uniform(0, 1)} for _ in range(300)
    ]
    scores = [0.5 * (each["optim.learning_rate"] < 1e-3) + 0.05 * each["optim.momentum"] for each in values]
    ranges = {"learning_rate": {"log": [1e-6, 1.0]}, "momentum": {"uniform": [0.0, 1.0]}}
    chart = importance(of_trials(values, scores, **ranges))
    assert chart is not None
    assert chart.data[0]["x"][-1] > 0.9  # in linear terms, below 1e-3 lies a thousandth of the range
    assert chart.data[0]["y"][-1] == "learning_rate"


def test_a_range_that_no_trial_had_has_no_axis_and_is_not_named() -> None:
    values = [{"optim.momentum": place / 20, "optim.learning_rate": (place % 7) / 7} for place in range(20)]
    ranges = {name: {"uniform": [0.0, 1.0]} for name in ("momentum", "learning_rate", "unchosen")}
    result = of_trials(values, [each["optim.momentum"] for each in values], **ranges)
    axes, bars = parallel(result), importance(result)
    assert axes is not None
    assert bars is not None
    assert [each["label"] for each in axes.data[0]["dimensions"][:-2]] == ["momentum", "learning_rate"]
    assert "Not ranked" not in bars.said


def test_of_very_many_trials_a_part_says_what_mattered_and_the_chart_says_so() -> None:
    values = [{"optim.momentum": place / 3000, "optim.learning_rate": (place % 7) / 7} for place in range(3000)]
    ranges = {name: {"uniform": [0.0, 1.0]} for name in ("momentum", "learning_rate")}
    chart = importance(of_trials(values, [each["optim.momentum"] for each in values], **ranges))
    assert chart is not None
    assert "fANOVA over 500 trials" in chart.said
    assert chart.data[0]["y"][-1] == "momentum"


@pytest.mark.parametrize("first", [math.nan, math.inf])
def test_a_trial_that_has_just_diverged_hides_nothing_of_the_others(first: float) -> None:
    values = [{"optim.momentum": place / 20} for place in range(12)]
    found = of_trials(values, [first, *(0.5 + place / 100 for place in range(11))], momentum={"uniform": [0.0, 1.0]})
    assert [trial.number for trial in found.trained] == list(range(1, 12))
    assert [*found.progress()][-1] == (12, 0.6)


def test_what_stands_beside_a_point_of_very_many_is_short() -> None:
    names = [f"range{place}" for place in range(40)]
    values = [{f"optim.{name}": place / 3000 for name in names} for place in range(3000)]
    found = of_trials(values, [place / 3000 for place in range(3000)], **{n: {"uniform": [0.0, 1.0]} for n in names})
    chart = slices(found)
    assert chart is not None
    assert "The best 2,000 of 3,000 trials are drawn." in chart.said
    assert {len(trace["x"]) for trace in chart.data} == {2000}
    assert chart.data[1]["text"][-1] == "trial 2999, completed: val/accuracy 99.97% after 1 epoch<br>1"
    assert len(json.dumps(chart.figure)) < 12e6


def test_the_line_of_the_front_joins_what_nobody_beats_for_less(result_in: ResultIn) -> None:
    result = result_in("of_several_objectives")
    chart = front(result)
    assert chart is not None
    assert chart.title == "What size is worth"
    line = next(trace for trace in chart.data if trace["mode"] == "lines")
    known = [(trial.parameters, result.last(trial)) for trial in result.trained if trial.status is Status.COMPLETED]
    undominated = {
        (cost, value)
        for cost, value in known
        if not any((c <= cost and v > value) or (c < cost and v >= value) for c, v in known)
    }
    assert set(zip(line["x"], line["y"], strict=True)) == undominated


def test_what_is_set_against_latency_is_not_called_size() -> None:
    found = of_trials([{}, {}, {}], [0.5, 0.6, 0.7])
    for trial in found.trials:
        trial.latency_ms = 1.0 + trial.number
    found.tables["search"]["objectives"] = ["val/accuracy", "latency_ms"]
    chart = front(found)
    assert chart is not None
    assert chart.title == "What latency is worth"


def test_over_the_first_word_there_is_room(result_in: ResultIn) -> None:
    chart = differences(result_in("complete"))
    assert chart is not None
    layout = chart.figure["layout"]
    bottom, top = layout["yaxis"]["range"]
    row_height = (layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]) / (bottom - top)
    assert (0 - top) * row_height > 2 * layout["font"]["size"], "row 0; plotly's own range cuts its word in two"
    assert bottom > len(chart.data[0]["x"]) - 1, "the last row is in view"


def test_beside_a_word_at_either_end_there_is_room(result_in: ResultIn) -> None:
    """A verdict of three words was cut in two by the axis on its left."""
    result = result_in("complete")
    worse = {"word": "DOES NOT BEAT", "difference": -0.007, "low": -0.013, "high": -0.001}
    better = {"word": "BEATS", "difference": 0.08, "low": 0.07, "high": 0.089}
    told = result.summary | {"verdict": {"no_teacher": better, "default_distillation": worse}}
    chart = differences(replace(result, summary=told))
    assert chart is not None
    low, high = chart.layout["xaxis"]["range"]
    width = high - low
    assert all(low + 0.2 * width <= x <= high - 0.2 * width for x in chart.data[0]["x"])


def test_the_ends_of_an_interval_are_not_cut_by_the_end_of_the_axis(result_in: ResultIn) -> None:
    result = result_in("complete")
    wide = {"word": "INCONCLUSIVE", "difference": 0.0, "low": -0.04, "high": 0.03}
    chart = differences(replace(result, summary=result.summary | {"verdict": {"no_teacher": wide}}))
    assert chart is not None
    low, high = chart.layout["xaxis"]["range"]
    assert low < -4.0 - 0.03 * (high - low)
    assert high > 3.0 + 0.03 * (high - low)


def test_a_title_keeps_away_from_the_labels_of_its_axis(result_in: ResultIn) -> None:
    chart = front(result_in("complete"))
    assert chart is not None
    assert chart.layout["yaxis"]["title"]["standoff"] >= 10


@pytest.mark.parametrize(
    ("costs", "texts"),
    [
        ([90, 731], ["50", "100", "200", "500", "1k"]),
        ([900, 12_000], ["500", "1k", "2k", "5k", "10k", "20k"]),
        ([0.031, 0.3], ["0.02", "0.05", "0.1", "0.2", "0.5"]),
        ([50, 3e6], ["10", "100", "1k", "10k", "100k", "1M", "10M"]),
    ],
)
def test_costs_far_apart_have_a_few_whole_numbers_on_their_axis(costs: list[float], texts: list[str]) -> None:
    axis = cost_axis("parameters", costs)
    assert (axis["type"], axis["ticktext"]) == ("log", texts)
    assert axis["tickvals"][0] < min(costs) < max(costs) < axis["tickvals"][-1]


@given(st.floats(1e-6, 1e12), st.floats(5, 1e15))
def test_an_axis_of_costs_has_at_least_two_ticks_in_view_and_at_most_a_few(low: float, times: float) -> None:
    axis = cost_axis("parameters", [low, low * times])
    assert sum(low <= tick <= low * times for tick in axis["tickvals"]) >= 2 or len(axis["tickvals"]) > 5
    assert len(axis["tickvals"]) == len({*axis["ticktext"]}) <= 11


def test_a_single_point_has_no_line_in_the_legend(result_in: ResultIn) -> None:
    found = of_trials([{}, {}, {}], [0.7, 0.6, 0.5])
    for trial in found.trials:
        trial.parameters = 100 + trial.number
    chart = front(found)
    assert chart is not None
    assert [trace["name"] for trace in chart.data if trace["mode"] == "lines"] == []
    assert any(trace["name"] == "completed" for trace in chart.data)


def test_a_student_has_one_colour_in_all_charts_and_no_other_has_it(result_in: ResultIn) -> None:
    result = result_in("complete")
    who, how = accuracies(result), corruptions(result)
    assert who is not None
    assert how is not None
    colours = who.data[0]["marker"]["color"]
    assert colours == [trace["marker"]["color"] for trace in how.data]
    assert len(set(colours)) == 3
    assert not set(BASELINE_COLOURS.values()) & {WINNER, FAINT, *COLOURS.values()}


def test_few_epochs_have_no_ticks_between_them(result_in: ResultIn) -> None:
    chart = curves(result_in("complete"))
    assert chart is not None
    assert chart.layout["xaxis"]["dtick"] == 1


def test_a_word_is_drawn_with_its_interval(result_in: ResultIn) -> None:
    chart = differences(result_in("complete"))
    assert chart is not None
    points = chart.data[0]
    words = chart.layout["annotations"]
    assert [each["text"] for each in words] == ["BEATS", "INCONCLUSIVE"]
    assert [each["x"] for each in words] == points["x"]
    assert {each["bgcolor"] for each in words} == {"#fff"}, "or the line of 0 would strike them through"
    assert points["x"][1] - points["error_x"]["arrayminus"][1] == pytest.approx(-0.2)


def test_a_trial_without_a_value_has_a_place_of_its_own_below_the_axis(result_in: ResultIn) -> None:
    chart = parallel(result_in("complete"))
    assert chart is not None
    axes = {each["label"]: each for each in chart.data[0]["dimensions"]}
    width = axes["convnet.width"]
    dash = width["tickvals"][width["ticktext"].index("-")]
    assert dash == min(width["values"]) < min(set(width["values"]) - {dash})
    families = axes["family"]
    assert [families["ticktext"][value] for value in families["values"]] == [
        trial.values["student.family"] for trial in result_in("complete").trained
    ]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.sampled_from([-1, 1]))
def test_the_better_part_of_values_has_the_better_half_and_the_best(values: list[float], sign: int) -> None:
    found = better_part(values, sign)
    if found:
        low, high = found["range"]
        better = sorted(values, key=lambda value: sign * value)[len(values) // 2 :]
        assert all(low <= value <= high for value in better)
        assert len(values) >= 10


@pytest.mark.parametrize(
    "found", [Interval(1e-4, 1e-1, integer=False, log=True), Interval(2, 9, integer=True, log=False)]
)
def test_an_axis_shows_the_whole_range_that_was_searched(found: Interval) -> None:
    axis = range_axis("rate", found)
    ends = [math.log10(end) if found.log else end for end in (found.low, found.high)]
    assert axis["range"][0] < ends[0] < ends[1] < axis["range"][1]
    assert (axis["tickvals"][0], axis["tickvals"][-1]) == pytest.approx((found.low, found.high))


def test_what_users_name_is_no_markup_on_an_axis() -> None:
    assert range_axis("<b>x</b>", Choice(("<i>", "b")))["categoryarray"] == ["&lt;i&gt;", "b"]
    assert range_axis("<b>x</b>", Choice(("a", "b")))["title"]["text"] == "&lt;b&gt;x&lt;/b&gt;"


def test_values_to_choose_from_that_are_nearly_alike_are_told_apart() -> None:
    found = Choice((0.9, 0.9995, 0.9999, 8))
    assert range_axis("rate", found)["categoryarray"] == ["0.9", "0.9995", "0.9999", "8"]


def test_what_is_not_finite_is_left_out_of_json() -> None:
    assert plain({"y": [math.nan, math.inf, 0.123456789, 3, None, "x"]}) == {"y": [None, None, 0.12346, 3, None, "x"]}
