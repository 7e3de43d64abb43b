"""Several results side by side: the outcome of each, and how their configurations differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from distill_tune.config.defaults import value_at
from distill_tune.config.leaves import KeyPath, found_at
from distill_tune.config.messages import dotted, shown
from distill_tune.config.ranges import is_range
from distill_tune.export.model_card import share
from distill_tune.export.verdict_words import BASELINES, baseline_in_words
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
    """Reasons why the results are hard to compare."""
    origins = [result.history.origin for result in results]
    if len({origin.data for origin in origins if origin is not None}) > 1:
        yield (
            "They differ in data, or in how it was split or shown to students: if their test samples differ, their "
            "test accuracies cannot be compared."
        )
    names = told_apart(results)
    unfinished = [(name, result) for name, result in zip(names, results, strict=True) if result.status != "complete"]
    if unsaid := [name for name, result in unfinished if "verdict" not in result.summary]:
        yield f"Not complete, and without a verdict: {', '.join(unsaid)}."
    if longer := [name for name, result in unfinished if "verdict" in result.summary]:
        yield f"Extended and not yet complete again; the verdict predates the extension: {', '.join(longer)}."
    if len(results) - len(unsaid) > 1:
        yield (
            "If you pick the best of several results here, you choose by test data, and it looks better than it is. "
            "A single search over everything, or samples that no search has seen, would tell."
        )


def outcomes(results: Sequence[Result]) -> Table:
    """The table of outcomes, a row per result.

    Trials, epochs and time are those of the search itself over all runs of the program; those of its search without a
    teacher are not added.
    """
    head = (
        "result",
        "status",
        "test accuracy",
        "95 % interval",
        "teacher",
        "parameters",
        "trials",
        "epochs",
        "searching",
    )
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
        duration(summary["time"]["search_s"]) if "time" in summary else "-",
    )


def verdicts(results: Sequence[Result]) -> Table | None:
    """Each result's verdicts, by baseline; None if there are none."""
    names = [name for name in BASELINES if any(name in result.summary.get("verdict", {}) for result in results)]
    if not names:
        return None
    rows = [
        (told, *(_word(name, result.summary) for name in names))
        for told, result in zip(told_apart(results), results, strict=True)
    ]
    return Table(("result", *(f"against {BASELINES[name]}" for name in names)), rows, numeric=False)


def _word(name: str, summary: dict[str, Any]) -> str:
    found = summary.get("verdict", {}).get(name)
    if found is None:
        return "-"
    ends = (100 * found[key] for key in ("difference", "low", "high"))
    own = baseline_in_words(name, summary)  # may be another than the head of the column
    told = f" ({own})" if own != BASELINES[name] else ""
    return "{} {:+.2f} [{:+.2f}, {:+.2f}]".format(found["word"], *ends) + told


def differences(results: Sequence[Result]) -> Table | None:
    """The keys of `search.toml` that differ between results; a key that is left out has its default."""
    every = [result.tables for result in results]
    paths = sorted({path for tables in every for path in _paths(tables)})
    unlike = [path for path in paths if any(value_at(tables, path) != value_at(every[0], path) for tables in every)]
    if not unlike:
        return None
    rows = [(dotted(path), *(_written(found_at(tables, path)) for tables in every)) for path in unlike]
    return Table(("key", *told_apart(results)), rows, numeric=False)


def _paths(tables: dict[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    """The paths of all values and ranges."""
    for key, value in tables.items():
        if isinstance(value, dict) and not is_range(value):
            yield from _paths(value, (*above, key))
        else:
            yield (*above, key)


def _written(value: Any) -> str:
    """The value as TOML; a dash if it is not set."""
    return "-" if value is None else shown(value)
