"""The learning curves of the trials, with the rungs at which they were compared."""

from __future__ import annotations

from typing import Any

from distill_tune.tuning.reporting.charts._base import (
    COLOURS,
    LEFT_OUT,
    WINNER,
    Chart,
    about,
    axis,
    better_part,
    by_status,
    dotted_at,
    value_axis,
)
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.records import TrialRecord

_FEW = 10
"""With at most this many epochs there is a tick at each, and none in between."""
_MOST = 300
"""More lines than this cannot be told apart and make the page slow."""


def curves(result: Result) -> Chart | None:
    """The first objective after each epoch; None if epochs do not report it."""
    drawn = [trial for trial in result.trained if any(result.objective in report for report in trial.reports)]
    if not drawn:
        return None
    left_out, drawn = len(drawn[:-_MOST]), drawn[-_MOST:]
    winner = result.winner
    lines = [
        trace
        for status, trials in by_status(drawn).items()
        for trace in _traces(result, str(status), [trial for trial in trials if trial is not winner], COLOURS[status])
    ]
    if winner is not None and winner.reports:
        lines += _traces(result, "best", [winner], WINNER, width=3.0)
    most = max(trial.epochs for trial in drawn)
    ends = [result.last(trial) for trial in drawn]
    some = f" The best {_MOST} of {left_out + _MOST:,} trials are drawn." if left_out else ""
    return Chart(
        "Learning curves",
        f"{result.objective} after each epoch. Dotted lines are rungs, where trials are compared and the worse ones "
        f"stop or wait. {LEFT_OUT}{some}",
        lines,
        {
            "xaxis": axis("epoch", rangemode="tozero", **({"dtick": 1} if most <= _FEW else {})),
            "yaxis": value_axis(result.objective, **better_part(ends, result.sign)),
            "shapes": [dotted_at(epochs, width=1) for epochs in _rungs(result)],
        },
        height=440,
    )


def _traces(
    result: Result, name: str, trials: list[TrialRecord], colour: str, width: float = 1.0
) -> list[dict[str, Any]]:
    """A line per trial, or a dot for trials with a single epoch, for which plotly.js draws no line."""
    long, short = ([t for t in trials if (len(t.reports) > 1) is is_long] for is_long in (True, False))
    lines = {**_lines(result, name, long, colour, width), "legendgroup": name}
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "legendgroup": name,
        "showlegend": not long,
        "hoverinfo": "text",
        "marker": {"color": colour, "size": 4 + 2 * width},
        "x": [trial.epochs for trial in short],
        "y": [result.last(trial) for trial in short],
        "text": [about(result, trial) for trial in short],
    }
    return [trace for trace in (lines, dots) if trace["x"]]


def _lines(result: Result, name: str, trials: list[TrialRecord], colour: str, width: float) -> dict[str, Any]:
    """Many trials as one trace, with a gap after each; only the last point has the full text, which is long."""
    line: dict[str, list[Any]] = {"x": [], "y": [], "text": []}
    for trial in trials:
        line["x"] += [*(int(report["epoch"]) for report in trial.reports), None]
        line["y"] += [*(result.value(trial, report) for report in trial.reports), None]
        line["text"] += [*([f"trial {trial.trial_id}"] * (len(trial.reports) - 1)), about(result, trial), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "hoverinfo": "text",
        "line": {"color": colour, "width": width},
        "opacity": 1.0 if width > 1 else 0.75,
        "connectgaps": False,
        **line,
    }


def _rungs(result: Result) -> list[int]:
    return sorted({int(rung["epochs"]) for rung in result.summary.get("rungs", [])})
