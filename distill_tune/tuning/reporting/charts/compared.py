"""The charts of several results side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from distill_tune.tuning.reporting.charts._base import (
    Chart,
    axis,
    cost_axis,
    plain_text,
    with_intervals,
)
from distill_tune.tuning.reporting.charts.progress import best_so_far
from distill_tune.tuning.reporting.result import Result, told_apart

_COLOURS = ("#1c7ed6", "#d9480f", "#2b8a3e", "#7950f2", "#f08c00", "#0ca678", "#c2255c", "#616e7c")
"""One per result, repeated if there are more."""


def examined(results: Sequence[Result]) -> Chart | None:
    """The best students' test accuracies."""
    found = _examined(results)
    if not found:
        return None
    tests = [result.summary["best"]["test"]["accuracy"] for _, _, result in found]
    points = with_intervals(
        [plain_text(name) for name, _, _ in found],
        [test["mean"] for test in tests],
        [(test["low"], test["high"]) for test in tests],
        [colour for _, colour, _ in found],
        "%{x:.2%}",
    )
    return Chart(
        "Test accuracy",
        "Of each result's best student: mean and 95 % interval over its seeds and the test samples.",
        [points],
        {
            "xaxis": axis(tickformat=".4~%"),
            "yaxis": axis(autorange="reversed", type="category"),  # a name may be a number or a date
            "showlegend": False,
        },
        height=110 + 40 * len(found),
    )


def sizes(results: Sequence[Result]) -> Chart | None:
    """The best students' test accuracies against their sizes."""
    found = _examined(results)
    counts = [result.summary["best"]["parameters"] for _, _, result in found]
    if len(set(counts)) < 2:
        return None
    points = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": plain_text(name),
            "x": [result.summary["best"]["parameters"]],
            "y": [result.summary["best"]["test"]["accuracy"]["mean"]],
            "marker": {"size": 12, "color": colour},
            "hovertemplate": "%{x:,} parameters: %{y:.2%}<extra></extra>",
        }
        for name, colour, result in found
    ]
    return Chart(
        "What size is worth",
        "Mean test accuracy of each result's best student against its parameters.",
        points,
        {"xaxis": cost_axis("parameters", counts), "yaxis": axis("test accuracy", tickformat=".4~%")},
    )


def so_far(results: Sequence[Result]) -> Chart | None:
    """How each search reached its best; None if their objectives differ."""
    if len({result.objective for result in results}) > 1:
        return None
    return best_so_far([(plain_text(name), colour, result) for name, colour, result in _told(results)], height=420)


def _told(results: Sequence[Result]) -> list[tuple[str, str, Result]]:
    """Each result with its label and its colour, the same in all charts."""
    return list(zip(told_apart(results), cycle(_COLOURS), results, strict=False))


def _examined(results: Sequence[Result]) -> list[tuple[str, str, Result]]:
    return [each for each in _told(results) if "verdict" in each[2].summary]
