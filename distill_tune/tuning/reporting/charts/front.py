"""Each trial's objective against its student's cost (size or latency), and the best for each cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from distill_tune.config.searching import COSTS, LATENCY
from distill_tune.tuning.reporting.charts._base import (
    COLOURS,
    INK,
    LEFT_OUT,
    WINNER,
    Chart,
    about,
    better_part,
    by_status,
    cost_axis,
    value_axis,
)
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.state.records import Status, TrialRecord, sign_of


def front(result: Result) -> Chart | None:
    """The objective against the cost among the objectives, or parameters; None if all students cost the same."""
    by = next((name for name in result.objectives if name in COSTS), "parameters")
    of = next((name for name in result.objectives if name not in COSTS), result.objective)
    drawn = [t for t in result.trained if math.isfinite(t.value_of(by, t.last)) and of in t.last]
    costs = [trial.value_of(by, trial.last) for trial in drawn]
    if len(set(costs)) < 2:
        return None
    points = [_points(result, str(s), trials, by, of, COLOURS[s]) for s, trials in by_status(drawn).items()]
    best = _best_for_each_cost([t for t in drawn if t.status is Status.COMPLETED], by, of)
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "best for the cost",
        "x": [trial.value_of(by, trial.last) for trial in best],
        "y": [trial.value_of(of, trial.last) for trial in best],
        "line": {"shape": "hv", "color": INK, "width": 1.5},
        "hoverinfo": "skip",
    }
    shown = better_part([trial.value_of(of, trial.last) for trial in drawn], sign_of(of))
    winner = [trial for trial in drawn if trial is result.winner]
    star = _points(result, "best", winner, by, of, WINNER, size=16, symbol="star")
    return Chart(
        f"What {'latency' if by == LATENCY else 'size'} is worth",
        f"{of} after each trial's last epoch, against {_said(by)}. The line joins the completed trials that none beats "
        f"at the same cost or less; stopped ones had fewer epochs. {LEFT_OUT}",
        [each for each in ([line] if len(best) > 1 else []) + [*points, star] if each["x"]],
        {"xaxis": cost_axis(_said(by), costs), "yaxis": value_axis(of, **shown)},
        height=440,
    )


def _best_for_each_cost(trials: Sequence[TrialRecord], by: str, of: str) -> list[TrialRecord]:
    """The cheapest trial and, by rising cost, each that is better than all before it."""

    def merit(trial: TrialRecord) -> float:
        return sign_of(of) * trial.value_of(of, trial.last)

    found: list[TrialRecord] = []
    for trial in sorted(trials, key=lambda trial: (trial.value_of(by, trial.last), -merit(trial))):
        if not found or merit(trial) > merit(found[-1]):
            found.append(trial)
    return found


def _points(
    result: Result,
    name: str,
    trials: Sequence[TrialRecord],
    by: str,
    of: str,
    colour: str,
    size: int = 8,
    symbol: str = "circle",
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [trial.value_of(by, trial.last) for trial in trials],
        "y": [trial.value_of(of, trial.last) for trial in trials],
        "text": [about(result, trial) for trial in trials],
        "hoverinfo": "text",
        "marker": {"color": colour, "size": size, "symbol": symbol},
    }


def _said(cost: str) -> str:
    return {LATENCY: "latency, ms"}.get(cost, cost.replace("_", "-"))
