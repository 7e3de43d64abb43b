"""A page of rare cases: single epochs, numbers as names, narrow ranges, students that cost nothing."""

import html
import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import is_well_made, of_trials

from distill_tune.config.ranges import Interval
from distill_tune.tuning.reporting.charts._base import cost_axis, range_axis
from distill_tune.tuning.reporting.charts.compared import examined
from distill_tune.tuning.reporting.charts.curves import curves
from distill_tune.tuning.reporting.charts.parallel import parallel
from distill_tune.tuning.reporting.charts.progress import progress
from distill_tune.tuning.reporting.charts.slices import slices
from distill_tune.tuning.reporting.page import CHARTS, page_of
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.reporting.tables import students
from distill_tune.tuning.state.records import Status

ResultIn = Callable[[str], Result]


def is_seen(trace: dict[str, Any]) -> bool:
    """Whether plotly.js draws anything: a line needs two distinct points."""
    return "markers" in trace["mode"] or any(
        None not in pair and pair[0] != pair[1] for pair in pairwise(zip(trace["x"], trace["y"], strict=True))
    )


def test_of_a_single_epoch_there_is_something_to_see() -> None:
    found = of_trials([{}, {}], [0.5, 0.6])
    for chart in (curves(found), progress(of_trials([{}], [0.5]))):
        assert chart is not None
        is_well_made(chart.figure)
        assert all(map(is_seen, chart.data))


def test_a_trial_that_was_stopped_after_its_first_epoch_is_drawn_beside_longer_ones_of_its_kind() -> None:
    found = of_trials([{}, {}], [0.5, 0.6])
    found.trials[1].reports.append({"epoch": 2, "val/accuracy": 0.7})
    chart = curves(found)
    assert chart is not None
    assert [(trace["mode"], trace["x"]) for trace in chart.data] == [("lines", [1, 2, None]), ("markers", [1])]
    assert [trace.get("showlegend", True) for trace in chart.data] == [True, False]


def test_each_kind_of_trial_is_in_the_legend_of_small_charts_though_the_first_has_none_of_it() -> None:
    values = [{"optim.momentum": 0.5, "optim.learning_rate": 0.1}, {"optim.learning_rate": 0.2}]
    found = of_trials(values, [0.5, 0.6], **{n: {"uniform": [0.0, 1.0]} for n in ("momentum", "learning_rate")})
    found.trials[1].status = Status.STOPPED
    chart = slices(found)
    assert chart is not None
    assert [trace["name"] for trace in chart.data if trace["showlegend"]] == ["completed", "stopped"]
    assert [trace["name"] for trace in chart.data].count("completed") == 2


def test_results_called_by_numbers_or_dates_have_a_row_each(result_in: ResultIn) -> None:
    numbered = [
        replace(result_in(state), folder=Path(f"results/{n}")) for state, n in (("complete", 2), ("of_a_loss", 10))
    ]
    chart = examined(numbered)
    assert chart is not None
    assert chart.data[0]["y"] == ["2", "10"]
    assert chart.layout["yaxis"]["type"] == "category"  # else plotly.js uses a numeric axis


def test_a_student_that_costs_nothing_is_on_the_axis_too() -> None:
    assert cost_axis("multiply-adds", [0, 100, 9000])["type"] == "linear"
    assert cost_axis("multiply-adds", [1, 100, 9000])["type"] == "log"


@given(
    st.sampled_from(
        [
            Interval(0.999, 0.9999, integer=False, log=False),
            Interval(0.1, 0.1001, integer=False, log=True),
            Interval(1, 8, integer=True, log=False),
            Interval(2, 3, integer=True, log=False),
            Interval(8, 256, integer=True, log=True),
        ]
    ),
    st.sampled_from([3, 5]),
)
def test_marks_of_a_range_stand_where_they_say_and_differ(found: Interval, count: int) -> None:
    axis = range_axis("rate", found, count)
    assert len(set(axis["ticktext"])) == len(axis["ticktext"])
    assert [float(text) for text in axis["ticktext"]] == pytest.approx(axis["tickvals"], rel=5e-3)


def test_marks_of_parallel_axes_stand_where_they_say_and_differ() -> None:
    ranges = {"beta": {"uniform": [0.999, 0.9999]}, "depth": {"int": [1, 8]}, "width": {"log_int": [8, 100]}}
    values = [{"optim.beta": 0.9995, "optim.depth": depth, "optim.width": 3 * depth + 8} for depth in (3, 5)]
    chart = parallel(of_trials(values, [0.5, 0.6], **ranges))
    assert chart is not None
    beta, depth, width = chart.data[0]["dimensions"][:3]
    assert len(set(beta["ticktext"])) == 5  # plotly.js has one position per text, not per tick
    assert [float(text) for text in depth["ticktext"]] == depth["tickvals"]
    assert [math.log10(float(text)) for text in width["ticktext"]] == pytest.approx(width["tickvals"])


def test_what_users_name_stands_on_parallel_axes_as_they_wrote_it() -> None:
    values = [{"optim.way": way} for way in ("a<b", "c&d")]
    chart = parallel(of_trials(values, [0.5, 0.6], way={"choice": ["a<b", "c&d"]}))
    assert chart is not None
    assert chart.data[0]["dimensions"][0]["ticktext"] == ["a<b", "c&d"]  # plotly.js shows it as text, not as HTML


def test_who_cannot_see_a_chart_is_told_what_it_shows_and_not_its_loose_numbers(result_in: ResultIn) -> None:
    result = result_in("complete")
    places = re.findall(r'<div class="chart" id="(\w+)" role="img" aria-label="([^"]+)"', page_of(result))
    charts = {name: chart for name, draw in CHARTS.items() if (chart := draw(result)) is not None}
    assert {name: html.unescape(label) for name, label in places} == {
        name: f"{chart.title}: {chart.said}" for name, chart in charts.items()
    }


def test_a_teacher_of_logits_alone_is_not_said_to_have_no_parameters(result_in: ResultIn) -> None:
    found = result_in("complete")
    teacher = {**found.summary["teacher"], "parameters": 0}
    table = students(replace(found, summary={**found.summary, "teacher": teacher}))
    assert table is not None
    assert (table.rows[-1][0], table.rows[-1][-1]) == ("teacher", "-")


def test_a_winner_that_could_be_compared_with_nobody_has_its_test_results_and_all_charts(result_in: ResultIn) -> None:
    found = result_in("complete")
    page = page_of(replace(found, summary={**found.summary, "verdict": {}, "baselines": {}}))
    assert "<h2>On untouched test data</h2>" in page
    assert "97.00%" in page
    drawn = page[page.rindex("const figures = {") : page.rindex("for (const [name, figure]")]
    places = set(re.findall(r'<div class="chart" id="(\w+)"', page))
    assert set(re.findall(r'^  "(\w+)": \{', drawn, re.MULTILINE)) == places  # else the script stops early
    assert "accuracies" in places


def test_a_search_toml_from_which_its_maker_was_cut_has_its_page(result_in: ResultIn) -> None:
    assert "Made by" not in page_of(replace(result_in("complete"), made_with={}))
