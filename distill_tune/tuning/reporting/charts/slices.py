"""Each searched value against the objective: where the good values lie, and whether a range ends too soon."""

from __future__ import annotations

import math
from typing import Any

from distill_tune.config.ranges import Interval
from distill_tune.tuning.reporting.charts._base import (
    COLOURS,
    LEFT_OUT,
    WINNER,
    Chart,
    better_part,
    by_status,
    headline,
    plain_text,
    range_axis,
    value_axis,
    written,
)
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.showing.wording import short_names, show
from distill_tune.tuning.state.records import TrialRecord

_IN_A_ROW = 4
_MOST = 2_000
"""More points than this cover each other; with tens of ranges the page would have a hundred megabytes."""
_ROW = 230
"""Height of one row, in pixels."""


def slices(result: Result) -> Chart | None:
    """One small chart per searched value."""
    trials = result.trained[-_MOST:]
    names = [name for name in result.ranges if any(name in trial.values for trial in trials)]
    if len(trials) < 2 or not names:
        return None
    some = f" The best {_MOST:,} of {len(result.trained):,} trials are drawn." if len(result.trained) > _MOST else ""
    rows = math.ceil(len(names) / _IN_A_ROW)
    layout: dict[str, Any] = {"grid": {"rows": rows, "columns": min(_IN_A_ROW, len(names)), "pattern": "independent"}}
    data: list[dict[str, Any]] = []
    shown = better_part([result.last(trial) for trial in trials], result.sign)
    for place, name in enumerate(names, 1):
        x, y = (axis_ if place == 1 else f"{axis_}{place}" for axis_ in ("x", "y"))
        layout[x.replace("x", "xaxis")] = range_axis(short_names(result.ranges)[name], result.ranges[name], ticks=3)
        layout[y.replace("y", "yaxis")] = value_axis(result.objective, title="", **shown)
        data += _points(result, name, [t for t in trials if name in t.values], x, y)
    told = set[str]()
    for trace in data:
        trace["showlegend"] = trace["name"] not in told
        told.add(trace["name"])
    return Chart(
        "Value by value",
        f"{result.objective} after each trial's last epoch. Where the best lie at the end of a range, a wider one may "
        f"have better students. {LEFT_OUT}{some}",
        data,
        layout,
        height=60 + _ROW * rows,
    )


def _points(result: Result, name: str, trials: list[TrialRecord], x: str, y: str) -> list[dict[str, Any]]:
    winner = result.winner
    groups = [(str(status), found, COLOURS[status], 6) for status, found in by_status(trials).items()]
    groups.append(("best", [trial for trial in trials if trial is winner], WINNER, 11))
    numbers = isinstance(result.ranges[name], Interval)
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": label,
            "legendgroup": label,
            "x": [t.values[name] if numbers else plain_text(written(t.values[name])) for t in found],
            "y": [result.last(trial) for trial in found],
            "xaxis": x,
            "yaxis": y,
            "text": [_briefly(result, trial, name) for trial in found],
            "hoverinfo": "text",
            "marker": {"color": colour, "size": size, "opacity": 0.85},
        }
        for label, found, colour, size in groups
        if found
    ]


def _briefly(result: Result, trial: TrialRecord, name: str) -> str:
    """A trial and its value here; repeating all of its values at each of them would be most of the page."""
    return f"{headline(result, trial)}<br>{plain_text(show(trial.values[name]))}"
