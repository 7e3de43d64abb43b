"""Which of the searched values mattered: how much of the objective's variance each explains alone.

Hutter et al., "An Efficient Approach for Assessing Hyperparameter Importance" (fANOVA), 2014,
http://proceedings.mlr.press/v32/hutter14.html. Computed by Optuna, whose shares are of the variance that single values
explain, and sum to 1.
"""

from __future__ import annotations

import math
from typing import Any

from distill_tune.config.messages import listed
from distill_tune.config.ranges import Interval, Range
from distill_tune.tuning.reporting.charts._base import COLOURS, Chart, axis, plain_text
from distill_tune.tuning.reporting.result import Result
from distill_tune.tuning.showing.wording import short_names
from distill_tune.tuning.state.records import Status

_LEAST = 10
"""With fewer trials nothing is drawn."""
_MOST = 500
"""More trials say nothing new, and the time grows with their square: over a minute for ten thousand."""


def importance(result: Result) -> Chart | None:
    """Bars, the most important first; None with too few trials or searched values, or if all objectives are equal."""
    epoch, values = _compared(result)
    common = [name for name in result.ranges if all(name in values_of for values_of, _ in values)]
    if len(values) < _LEAST or len(common) < 2 or len({value for _, value in values}) < 2:
        return None
    shares = _shares(result, common, values)
    names = sorted(shares, key=shares.__getitem__)
    some = {name for values_of, _ in values for name in values_of}.difference(common)
    rare = [short_names(result.ranges)[name] for name in result.ranges if name in some]
    others = f" Not ranked, since only some trials have them: {listed(rare)}." if rare else ""
    return Chart(
        "What mattered",
        f"Of the variance of {result.objective} after epoch {epoch} that single values explain, the share of each "
        f"(fANOVA over {len(values):,} trials, within the ranges that were searched); what only several together "
        f"explain is not in it.{others}",
        [
            {
                "type": "bar",
                "orientation": "h",
                "x": [shares[name] for name in names],
                "y": [plain_text(short_names(result.ranges)[name]) for name in names],
                "marker": {"color": COLOURS[Status.COMPLETED]},
                "hovertemplate": "%{x:.1%}<extra></extra>",
            }
        ],
        {"xaxis": axis(tickformat=".0%", rangemode="tozero"), "yaxis": axis(), "showlegend": False},
        height=90 + 28 * len(names),
    )


def _compared(result: Result) -> tuple[int, list[tuple[dict[str, object], float]]]:
    """The most common first rung, as an epoch, and the trials' values and objectives there.

    They are not compared at their ends, since trials that seemed better have trained for longer. Of too many trials,
    evenly spaced ones are taken, from the worst to the best.
    """
    reached = [trial.rungs[0] if trial.rungs else trial.epochs for trial in result.trained]
    epoch = max(set(reached), key=reached.count, default=0)
    found = [
        (trial.values, result.value(trial, report))
        for trial in result.trained
        for report in trial.reports
        if int(report["epoch"]) == epoch
    ]
    finite = [(values, value) for values, value in found if math.isfinite(value)]
    return epoch, [finite[place * len(finite) // _MOST] for place in range(_MOST)] if len(finite) > _MOST else finite


def _shares(result: Result, names: list[str], values: list[tuple[dict[str, object], float]]) -> dict[str, float]:
    import optuna  # takes a second, with scikit-learn; reports of few trials do without
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    direction = StudyDirection.MAXIMIZE if result.sign > 0 else StudyDirection.MINIMIZE
    study = optuna.create_study(direction=direction)
    even = {name: _even(result.ranges[name]) for name in names}
    for values_of, value in values:
        held = {name: _evenly(result.ranges[name], values_of[name]) for name in names}
        fixed = optuna.trial.FixedTrial({name: even[name].as_optuna(held[name]) for name in names})
        for name in names:
            even[name].suggest(fixed, name)
        study.add_trial(optuna.create_trial(params=fixed.params, distributions=fixed.distributions, value=value))
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in found.items()}


def _even(found: Range) -> Range:
    """The range on its searched scale: on a linear one, most of a logarithmic range would be its last decade."""
    if isinstance(found, Interval) and found.log:
        return Interval(math.log(found.low), math.log(found.high), integer=False, log=False)
    return found


def _evenly(found: Range, value: Any) -> Any:
    """A value's position in the range of `_even`."""
    if isinstance(found, Interval) and found.log:
        return min(max(math.log(value), math.log(found.low)), math.log(found.high))
    return value
