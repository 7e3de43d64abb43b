"""Formatting of names and numbers for display, the same in the terminal and in TensorBoard."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from distill_tune.config.searching import LATENCY


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Dotted names without their sections ("loss.temperature": "temperature"), unless that is ambiguous."""
    short = {name: name.partition(".")[2] or name for name in names}
    seen = Counter(short.values()) + Counter(["kind"])  # "kind" says too little even if there is only one
    return {name: ending if seen[ending] == 1 else name for name, ending in short.items()}


def show(value: Any) -> str:
    """A configuration value as a person would write it: 0.00312, 8, convnet, 20-20-20."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        flat = all(isinstance(part, int) for part in value)
        return "-".join(map(str, value)) if flat and value else json.dumps(value)
    return str(value)


def settings(values: Mapping[str, Any]) -> str:
    """A trial's sampled values in one line: "family convnet, convnet.width 8, temperature 3.2"."""
    short = short_names(values)
    return ", ".join(f"{short[name]} {show(value)}" for name, value in values.items())


def metric(value: float | None) -> str:
    """A metric with four decimals; a dash if there is none."""
    return "-" if value is None else f"{value:.4f}"


def amount(value: float) -> str:
    """An objective in any unit: a count in full, anything else with four decimals."""
    return f"{value:,.0f}" if abs(value) > 1 and value == int(value) else metric(value)


def latencies(summary: Mapping[str, Any]) -> dict[str, float | None]:
    """The latency of each row of a result's table, if it is limited or an objective, otherwise none.

    A baseline of the winner's architecture has its latency; a teacher is not timed.
    """
    best = summary["best"]
    config = best["config"]
    if LATENCY not in config["search"]["objectives"] and "max_latency_ms" not in config.get("limits", {}):
        return {}
    own = {
        name: each.get("latency_ms") if "trial" in each else best["latency_ms"]
        for name, each in summary["baselines"].items()
    }
    return {"best": best["latency_ms"], **own, "teacher": None}


def milliseconds(value: float | None) -> str:
    """A latency in at most five characters up to 10 s, which suffice to tell students apart; a dash if not measured."""
    if value is None:
        return "-"
    decimals = 3 if value < 9.9995 else 1 if value < 999.95 else 0  # what is rounded up has a digit more
    return f"{value:,.{decimals}f}"


def counted(number: int, what: str) -> str:
    """A number with its noun: "1 epoch", "1,200 trials"."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def duration(seconds: float) -> str:
    """Seconds as 42 s, 3:07 min or 2:05 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    high, low = divmod(whole, 60) if whole < 3600 else divmod(whole // 60, 60)
    return f"{high}:{low:02d} {'min' if whole < 3600 else 'h'}"


def rate(per_hour: float) -> str:
    """Trials per hour: three significant digits, or a whole number from 100 on."""
    return f"{per_hour:,.0f} trials/h" if per_hour >= 100 else f"{per_hour:.3g} trials/h"
