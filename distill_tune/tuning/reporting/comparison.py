"""Several results side by side: what each came to, and in what their configurations differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from distill_tune.config.messages import shown
from distill_tune.config.ranges import is_range
from distill_tune.export.model_card import BASELINES, share
from distill_tune.tuning.reporting.charts.compared import examined, sizes, so_far
from distill_tune.tuning.reporting.page import rendered
from distill_tune.tuning.reporting.result import Result, told_apart
from distill_tune.tuning.reporting.tables import Table
from distill_tune.tuning.showing.wording import duration

CHARTS = {"examined": examined, "sizes": sizes, "so_far": so_far}


def comparison_of(results: Sequence[Result]) -> str:
    """The page as HTML."""
    return rendered(
        "comparison.html.jinja",
        {name: draw(results) for name, draw in CHARTS.items()},
        results=results,
        outcomes=outcomes(results),
        verdicts=verdicts(results),
        differences=differences(results),
        warnings=[*warnings(results)],
    )


def warnings(results: Sequence[Result]) -> Iterator[str]:
    """What makes the results hard to compare."""
    origins = [result.history.origin for result in results]
    if len({origin.data for origin in origins if origin is not None}) > 1:
        yield (
            "They differ in data, or in how it was split or shown to students: where their test samples are not the "
            "same, their test accuracies cannot be compared."
        )
    names = told_apart(results)
    unfinished = [(name, result) for name, result in zip(names, results, strict=True) if result.status != "complete"]
    if unsaid := [name for name, result in unfinished if "verdict" not in result.summary]:
        yield f"Not complete, and without a verdict: {', '.join(unsaid)}."
    if longer := [name for name, result in unfinished if "verdict" in result.summary]:
        yield f"Extended, and not complete again; the verdict is from before: {', '.join(longer)}."
    if len(results) - len(unsaid) > 1:
        yield (
            "The best of several results was chosen by test data if you choose it here, and looks better than it is. "
            "One search over all of it, or samples that no search has seen, would tell."
        )


def outcomes(results: Sequence[Result]) -> Table:
    """A row for each result."""
    head = ("result", "status", "test accuracy", "95 % interval", "teacher", "parameters", "trials", "epochs", "time")
    return Table(head, [_outcome(*each) for each in zip(told_apart(results), results, strict=True)])


def _outcome(name: str, result: Result) -> tuple[str, ...]:
    summary = result.summary
    best, test = summary.get("best", {}), summary.get("best", {}).get("test")
    accuracy = None if test is None else test["accuracy"]
    return (
        name,
        result.status,
        "-" if accuracy is None else share(accuracy["mean"]),
        "-" if accuracy is None else f"{accuracy['low']:.2%} to {accuracy['high']:.2%}",
        share(summary["teacher"]["test"]["accuracy"]) if "teacher" in summary else "-",
        f"{best['parameters']:,}" if "parameters" in best else "-",
        f"{result.num_trials:,}",
        f"{result.num_epochs:,}",
        duration(summary["time"]["total_s"]) if "time" in summary else "-",
    )


def verdicts(results: Sequence[Result]) -> Table | None:
    """Each result's words, by baseline."""
    names = [name for name in BASELINES if any(name in result.summary.get("verdict", {}) for result in results)]
    if not names:
        return None
    found = [result.summary.get("verdict", {}) for result in results]
    rows = [
        (told, *(_word(each.get(name)) for name in names))
        for told, each in zip(told_apart(results), found, strict=True)
    ]
    return Table(("result", *(f"against {BASELINES[name]}" for name in names)), rows, numeric=False)


def _word(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    ends = (100 * found[name] for name in ("difference", "low", "high"))
    return "{} {:+.2f} [{:+.2f}, {:+.2f}]".format(found["word"], *ends)


def differences(results: Sequence[Result]) -> Table | None:
    """The keys of `search.toml` that are not the same everywhere."""
    flat = [dict(_leaves(result.tables)) for result in results]
    keys = sorted({key for each in flat for key in each})
    unlike = [key for key in keys if len({each.get(key, "") for each in flat}) > 1]
    if not unlike:
        return None
    rows = [(key, *(each.get(key, "-") for each in flat)) for key in unlike]
    return Table(("key", *told_apart(results)), rows, numeric=False)


def _leaves(tables: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Each key by its dotted name, with its value or range as TOML has it."""
    for key, value in tables.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and not is_range(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, shown(value)
