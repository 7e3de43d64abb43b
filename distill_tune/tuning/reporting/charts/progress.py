"""How the search reached its best: the best value so far over the epochs trained, all trials together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distill_tune.tuning.reporting.charts._base import BASELINE_COLOURS, COLOURS, Chart, axis, value_axis
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.records import Status


def progress(result: Result) -> Chart | None:
    """The best so far, also of the search without a teacher if there was one."""
    searches = [("with the teacher" if result.baseline else "best so far", COLOURS[Status.COMPLETED], result)]
    if result.baseline is not None:
        searches.append(("without a teacher", BASELINE_COLOURS["searched_no_teacher"], result.baseline))
    return best_so_far(
        searches,
        "It is chosen among many, so it looks better than it is: compare students by the test accuracy above.",
    )


def best_so_far(searches: Sequence[tuple[str, str, Result]], warning: str = "", height: int = 380) -> Chart | None:
    """A staircase for each search (name, colour, result); all must have the same objective."""
    lines = [line for search in searches if (line := _staircase(*search))["x"]]
    if not lines:
        return None
    objective = searches[0][2].objective
    return Chart(
        "The best so far",
        f"{objective} of the best trial that had come to a rung or to its end. {warning}".rstrip(),
        lines,
        {
            "xaxis": axis("epochs trained, all trials together", rangemode="tozero"),
            "yaxis": value_axis(objective),
        },
        height,
    )


def _staircase(name: str, colour: str, result: Result) -> dict[str, Any]:
    """A trace in which each better value holds until the next; it is empty until a trial has reached a rung.

    If the only value is from the latest epoch there is no line yet, but a marker.
    """
    steps = [*result.progress()]
    ends = [(result.num_epochs, value) for _, value in steps[-1:]]
    epochs = [count for count, _ in steps + ends]
    return {
        "type": "scatter",
        "mode": "lines" if len({*epochs}) > 1 else "markers",
        "name": name,
        "x": epochs,
        "y": [value for _, value in steps + ends],
        "line": {"shape": "hv", "color": colour, "width": 2.5},
        "marker": {"color": colour},
    }
