"""How the students stand worsened inputs (Hendrycks and Dietterich 2019), corruption by corruption, on test."""

from __future__ import annotations

from distill_tune.export.model_card import BASELINES
from distill_tune.tuning.reporting.charts._base import BASELINE, COLOURS, FAINT, WINNER, Chart, axis, plain_text
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.records import Status

_COLOURS = (WINNER, COLOURS[Status.COMPLETED], FAINT, BASELINE)


def corruptions(result: Result) -> Chart | None:
    """A row for each corruption, the mildest first, with a dot for each student."""
    summary = result.summary
    if "verdict" not in summary or not summary["best"]["test"].get("by_corruption"):
        return None
    students = {"best student": summary["best"], **{BASELINES[n]: b for n, b in summary["baselines"].items()}}
    best = summary["best"]["test"]["by_corruption"]
    kinds = sorted(best, key=best.__getitem__)
    return Chart(
        "Worsened inputs",
        "Test accuracy on corrupted test samples, the mean of three severities; the mildest corruption on top.",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [student["test"]["by_corruption"][kind] for kind in kinds],
                "y": [plain_text(kind) for kind in kinds],
                "marker": {"color": colour, "size": 10, "symbol": "circle" if name == "best student" else "diamond"},
                "hovertemplate": "%{y}: %{x:.1%}<extra>" + name + "</extra>",
            }
            for (name, student), colour in zip(students.items(), _COLOURS, strict=False)
        ],
        {"xaxis": axis("test accuracy", tickformat=".0%"), "yaxis": axis()},
        height=140 + 26 * len(kinds),
    )
