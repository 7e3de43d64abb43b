"""The students' robustness to corrupted inputs (Hendrycks and Dietterich 2019), by corruption, on test."""

from __future__ import annotations

from distill_tune.tuning.reporting.charts._base import Chart, axis, plain_text, students_of
from distill_tune.tuning.reporting.result import Result


def corruptions(result: Result) -> Chart | None:
    """A row per corruption, the mildest on top, with a dot per student."""
    summary = result.summary
    if "verdict" not in summary or not summary["best"]["test"].get("by_corruption"):
        return None
    best = summary["best"]["test"]["by_corruption"]
    kinds = sorted(best, key=best.__getitem__)
    return Chart(
        "Corrupted inputs",
        "Test accuracy on corrupted test samples, the mean of three severities; the mildest corruption on top.",
        [
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": [student["test"]["by_corruption"][kind] for kind in kinds],
                "y": [plain_text(kind) for kind in kinds],
                "marker": {"color": colour, "size": 10, "symbol": "diamond" if place else "circle"},
                "hovertemplate": "%{y}: %{x:.1%}<extra>" + name + "</extra>",
            }
            for place, (name, colour, student) in enumerate(students_of(summary))
        ],
        {"xaxis": axis("test accuracy", tickformat=".0%"), "yaxis": axis()},
        height=140 + 26 * len(kinds),
    )
