"""All trials at once, each a line through its values and its result (parallel coordinates; Inselberg 1985)."""

from __future__ import annotations

import json
import math
from typing import Any

from distill_tune.config.ranges import Interval, Range
from distill_tune.tuning.reporting.charts._base import Chart, marks_of, plain_text, written
from distill_tune.tuning.reporting.result import Result, is_share
from distill_tune.tuning.showing.wording import short_names

_TICKS = 5
_FEW = 6
_BELOW = 0.12
"""How far below an axis's low end trials without a value lie, as a fraction of its length."""


def parallel(result: Result) -> Chart | None:
    """One axis per searched value, then the epochs and the objective."""
    trials = result.trained
    if len(trials) < 2 or not result.ranges:
        return None
    short = short_names(result.ranges)
    had = {name: found for name, found in result.ranges.items() if any(name in trial.values for trial in trials)}
    axes = [_axis(short[name], found, [t.values.get(name) for t in trials]) for name, found in had.items()]
    last = [result.last(trial) for trial in trials]
    shown = {"tickformat": ".1%"} if is_share(result.objective) else {}
    axes += [
        {"label": "epochs", **_of_counts([trial.epochs for trial in trials])},
        {"label": plain_text(result.objective), "values": last, **shown},
    ]
    low, high = sorted((last[len(last) // 5], last[-1]))  # not from the worst: one bad trial would use up the colours
    line = {"color": last, "colorscale": "Viridis", "reversescale": result.sign < 0, "cmin": low, "cmax": high}
    return Chart(
        "All trials",
        "A line is a trial; the bright ones are the best. Drag along an axis to see only the trials that pass there, "
        "and an axis's name to move it. A dash stands where a trial does not have the value.",
        [{"type": "parcoords", "dimensions": axes, "line": line, "labelfont": {"size": 12}}],
        {"margin": {"l": 60, "r": 60, "t": 70, "b": 30}},
        height=460,
    )


def _axis(label: str, found: Range, values: list[Any]) -> dict[str, Any]:
    named = {"label": plain_text(label)}
    return named | (_of_numbers(found, values) if isinstance(found, Interval) else _of_choice(found.values, values))


def _of_choice(choices: tuple[Any, ...], values: list[Any]) -> dict[str, Any]:
    """The axis of a choice, with its values evenly spaced in the order in which they are written."""
    places = {json.dumps(choice): place for place, choice in enumerate(choices)}
    ticks = dict(zip(places.values(), map(written, choices), strict=True))
    return _placed([None if value is None else places.get(json.dumps(value)) for value in values], ticks)


def _of_numbers(found: Interval, values: list[Any]) -> dict[str, Any]:
    """The axis of numbers, logarithmic if the range is searched that way."""
    place = math.log10 if found.log else float
    ticks = {place(mark): text for mark, text in marks_of(found, _TICKS).items()}
    return _placed([None if value is None else place(value) for value in values], ticks)


def _of_counts(values: list[int]) -> dict[str, Any]:
    """The axis of counts, with a tick at each distinct one, as rungs leave few; with plotly's own ticks if many."""
    there = sorted(set(values))
    ticks = {"tickvals": there, "ticktext": [str(count) for count in there]} if len(there) <= _FEW else {}
    return {"values": values, **ticks}


def _placed(places: list[Any], ticks: dict[Any, str]) -> dict[str, Any]:
    """The values and ticks of one axis; if a value is missing there is one more tick, below the others.

    Of all texts, plotly.js does not read these ticks' as HTML, so they are not escaped.
    """
    low, high = min(ticks), max(ticks)
    if None in places:
        below = low - _BELOW * ((high - low) or 1)
        places, ticks = [below if place is None else place for place in places], {below: "-", **ticks}
    return {
        "values": places,
        "tickvals": list(ticks),
        "ticktext": list(ticks.values()),
        "range": [min(ticks), high if high > min(ticks) else high + 1],
    }
