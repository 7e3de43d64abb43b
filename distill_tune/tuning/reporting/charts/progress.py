"""How the search came to its best: the best value over the epochs that it had trained, all trials together."""

from __future__ import annotations

from typing import Any

from distill_tune.tuning.reporting.charts._base import BASELINE_COLOURS, COLOURS, Chart, axis, value_axis
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.records import Status


def progress(result: Result) -> Chart | None:
    """The best so far; where there was a search without a teacher, of that too."""
    lines = [best_so_far(result, "with the teacher" if result.baseline else "best so far", COLOURS[Status.COMPLETED])]
    if result.baseline is not None:
        lines.append(best_so_far(result.baseline, "without a teacher", BASELINE_COLOURS["searched_no_teacher"]))
    lines = [line for line in lines if line["x"]]
    if not lines:
        return None
    return Chart(
        "The best so far",
        f"{result.objective} of the best trial that had come to a rung or to its end. It is chosen among many, so it "
        "looks better than it is: compare students by the test accuracy above.",
        lines,
        {
            "xaxis": axis("epochs trained, all trials together", rangemode="tozero"),
            "yaxis": value_axis(result.objective),
            "showlegend": len(lines) > 1,
        },
    )


def best_so_far(result: Result, name: str, colour: str) -> dict[str, Any]:
    """A staircase: each better value lasts until the next."""
    steps = [*result.progress()]
    if steps:
        steps.append((result.num_epochs, steps[-1][1]))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [count for count, _ in steps],
        "y": [value for _, value in steps],
        "line": {"shape": "hv", "color": colour, "width": 2.5},
    }
