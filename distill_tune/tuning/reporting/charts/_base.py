"""What all charts share: figures as plotly.js takes them (plain dictionaries), in one style.

Plotly, MIT licence, https://plotly.com/javascript/reference/
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_tune.config.ranges import Choice, Interval, Range
from distill_tune.export.verdict_words import baseline_in_words
from distill_tune.tuning.reporting.result import Result, is_share
from distill_tune.tuning.showing.wording import counted, short_names, show
from distill_tune.tuning.state.records import Status, TrialRecord

INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
WINNER, BETTER, WORSE = "#d9480f", "#2b8a3e", "#c92a2a"
BASELINE_COLOURS = {"no_teacher": "#0b7285", "default_distillation": "#f2b705", "searched_no_teacher": "#7950f2"}
"""The same in all charts, and distinct from the trials' colours."""
COLOURS = {
    Status.COMPLETED: "#1c7ed6",
    Status.PAUSED: "#74c0fc",
    Status.STOPPED: "#adb5bd",
    Status.INTERRUPTED: "#f08c00",
    Status.RUNNING: "#0ca678",
    Status.FAILED: WORSE,
}
_MANY, _LEFT_OUT, _MARGIN = 10, 0.5, 0.06
_FAR = 5
_STANDOFF = 14
"""Pixels between an axis's title and its labels; without it, plotly.js writes one over the other."""
_MOST_TICKS = 9
_UNITS = ((1_000_000, "M"), (1_000, "k"))
_FEW_DIGITS, _ALL_DIGITS = 3, 18
"""Digits of a range's ticks, as few as tell them apart."""
_DIGITS = 5
"""Significant digits of each number drawn: more cannot be seen, and would make the page half as large again."""


@dataclass(frozen=True)
class Chart:
    """One figure of a page."""

    title: str
    said: str
    """How to read it, in a sentence or two of plain text."""
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 380
    """In pixels."""

    @property
    def figure(self) -> dict[str, Any]:
        """The figure for `Plotly.newPlot`."""
        return {"data": plain(self.data), "layout": plain({**_LAYOUT, "height": self.height, **self.layout})}


_LAYOUT = {
    "font": {"family": "system-ui, -apple-system, 'Segoe UI', sans-serif", "size": 13, "color": INK},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "margin": {"l": 70, "r": 20, "t": 20, "b": 45},
    "hovermode": "closest",
    "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
}


def axis(title: str = "", **more: Any) -> dict[str, Any]:
    """An axis with its title (plain text) and the page's grid."""
    return {
        "title": {"text": plain_text(title), "font": {"size": 13}, "standoff": _STANDOFF},
        "gridcolor": GRID,
        "zerolinecolor": GRID,
        "linecolor": FAINT,
        "automargin": True,
        **more,
    }


def value_axis(name: str, title: str | None = None, **more: Any) -> dict[str, Any]:
    """The axis of an objective or a metric: fractions in percent, anything else as it is."""
    return axis(name if title is None else title, **({"tickformat": ".4~%"} if is_share(name) else {}), **more)


def range_axis(title: str, found: Range, ticks: int = 5) -> dict[str, Any]:
    """The axis of a searched value: its whole range, on the scale that is searched, or a choice's values in order."""
    if isinstance(found, Choice):
        names = [plain_text(written(value)) for value in found.values]
        return axis(title, type="category", categoryorder="array", categoryarray=names)
    marks = marks_of(found, ticks)
    low, high = (math.log10(end) if found.log else end for end in (found.low, found.high))
    margin = _MARGIN * (high - low)
    return axis(
        title,
        type="log" if found.log else "linear",
        range=[low - margin, high + margin],
        tickvals=list(marks),
        ticktext=list(marks.values()),
    )


def marks_of(found: Interval, count: int) -> dict[float, str]:
    """At most `count` ticks from end to end of a range, with as many digits as tell them apart."""
    numbers = list(dict.fromkeys(found.at(share / (count - 1)) for share in range(count)))
    tries = ([f"{number:.{digits}g}" for number in numbers] for digits in range(_FEW_DIGITS, _ALL_DIGITS))
    texts = list(map(str, numbers)) if found.integer else next(t for t in tries if len({*t}) == len(numbers))
    return dict(zip(numbers, texts, strict=True))


def written(value: Any) -> str:
    """A value of a choice with all of its digits: if two were rounded to the same text, their points would coincide."""
    return f"{value:.15g}" if isinstance(value, float) else show(value)


def with_intervals(
    names: Sequence[str],
    middles: Sequence[float],
    ends: Sequence[tuple[float, float]],
    colours: Sequence[str],
    form: str,
) -> dict[str, Any]:
    """A row per name with a dot and its interval; `form` is plotly.js's template of a number, such as `%{x:.2%}`."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(middles),
        "y": list(names),
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - middle for middle, (_, high) in zip(middles, ends, strict=True)],
            "arrayminus": [middle - low for middle, (low, _) in zip(middles, ends, strict=True)],
            "color": FAINT,
        },
        "marker": {"size": 12, "color": list(colours)},
        "hovertemplate": f"{form}<extra></extra>",
    }


def dotted_at(place: float, width: float = 2) -> dict[str, Any]:
    """A shape: a dotted vertical line through the whole chart."""
    line = {"color": FAINT, "dash": "dot", "width": width}
    return {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def cost_axis(title: str, costs: Sequence[float]) -> dict[str, Any]:
    """An axis of costs, logarithmic if they are far apart and none is 0."""
    low, high = min(costs), max(costs)
    if not 0 < _FAR * low <= high:
        return axis(title, type="linear")
    ticks = _ticks_between(low / 2, high * 2)
    return axis(title, type="log", tickvals=ticks, ticktext=[_in_units(tick) for tick in ticks])


def _ticks_between(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each power of ten, or so few of these powers as have room; plotly.js writes `2` beneath `100`."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{digit}e{power}") for power in powers for digit in (1, 2, 5)]
    found = [tick for tick in ticks if low <= tick <= high]
    if len(found) <= _MOST_TICKS:
        return found
    whole = [float(f"1e{power}") for power in powers]
    return whole[:: math.ceil(len(whole) / _MOST_TICKS)]


def _in_units(number: float) -> str:
    """A tick's number: 0.05, 200, 5k, 10M."""
    size, unit = next(((size, unit) for size, unit in _UNITS if number >= size), (1, ""))
    return f"{number / size:g}{unit}"


def better_part(values: Sequence[float], sign: int) -> dict[str, Any]:
    """An axis range that leaves out the worst of many trials, which would squeeze the others together."""
    known = sorted((value for value in values if math.isfinite(value)), key=lambda value: sign * value)
    if len(known) < _MANY:
        return {}
    worst, best = known[int(_LEFT_OUT * len(known))], known[-1]
    margin = _MARGIN * (best - worst)
    return {"range": sorted([worst - margin, best + margin])} if margin else {}


LEFT_OUT = "With many trials the worse half may be outside the view; double-click to show all."


def plain_text(text: str) -> str:
    """A user's text, escaped because plotly.js would read it as HTML."""
    return html.escape(text, quote=False)


def students_of(summary: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """The students that were examined on test: label, colour and results of each."""
    baselines = summary["baselines"].items()
    told = [(baseline_in_words(name, summary), BASELINE_COLOURS[name], found) for name, found in baselines]
    return [("best student", WINNER, summary["best"]), *told]


def headline(result: Result, trial: TrialRecord) -> str:
    """A trial's name, status and latest value, in one line."""
    value = result.last(trial)
    told = f"{value:.2%}" if is_share(result.objective) else f"{value:.4g}"
    return f"trial {trial.trial_id}, {trial.status}: {result.objective} {told} after {counted(trial.epochs, 'epoch')}"


def about(result: Result, trial: TrialRecord) -> str:
    """A trial in a few lines, shown on hover."""
    short = short_names(trial.values)
    values = (f"{short[name]} {show(value)}" for name, value in trial.values.items())
    lines = [headline(result, trial), f"{trial.parameters:,} parameters", *values]
    return "<br>".join(map(plain_text, lines))


def by_status(trials: Iterable[TrialRecord]) -> dict[Status, list[TrialRecord]]:
    """The trials by status, in the order of the legend; statuses without trials are left out."""
    sorted_out: dict[Status, list[TrialRecord]] = {status: [] for status in COLOURS}
    for trial in trials:
        sorted_out[trial.status].append(trial)
    return {status: found for status, found in sorted_out.items() if found}


def plain(value: Any) -> Any:
    """`value` for JSON: floats rounded to visible digits, None for what is not finite."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
