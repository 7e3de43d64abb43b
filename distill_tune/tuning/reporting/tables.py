"""The tables of a report: heads and rows of text, which the page only lays out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distill_tune.export.model_card import known, share
from distill_tune.export.verdict_words import baseline_in_words
from distill_tune.tuning.reporting.result import Result, is_share
from distill_tune.tuning.showing.wording import (
    duration,
    latencies,
    metric,
    milliseconds,
    rate,
    settings,
    short_names,
    show,
)
from distill_tune.tuning.state.records import Status

_LEADERS = 12
_CAUSES = 8
_PHASES = {
    "prepare_s": "preparing data and teacher",
    "start_s": "starting Ray and its workers",
    "search_s": "searching",
    "baseline_search_s": "searching without a teacher",
    "confirm_s": "confirming in fresh seeds",
    "export_s": "examining on test, exporting",
}
_OVER_ALL_RUNS = ("search_s", "baseline_search_s")
"""Times that add up over all runs of the program; all others, and the total, are the last run's."""


@dataclass(frozen=True)
class Table:
    """A head and rows of text; the first column is a name, all others are right-aligned if `numeric`."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    numeric: bool = True
    marked: int | None = None
    """The row to highlight."""


def students(result: Result) -> Table | None:
    """The students that were examined on test."""
    summary = result.summary
    if "verdict" not in summary:
        return None
    best = summary["best"]
    found = {"best student": best}
    found |= {baseline_in_words(name, summary): {**best, **each} for name, each in summary["baselines"].items()}
    rows = [(name, *_examined(each["test"]), f"{each['parameters']:,}") for name, each in found.items()]
    teacher = summary["teacher"]
    rows.append(("teacher", share(teacher["test"]["accuracy"]), *["-"] * 6, known(teacher["parameters"])))
    columns = ("test accuracy", "95 % interval", "NLL", "ECE", "worst class", "corrupted", "agreement", "parameters")
    head: tuple[str, ...] = ("", *columns)
    if times_ms := latencies(summary):
        head = (*head, "latency, ms")
        rows = [(*row, milliseconds(ms)) for row, ms in zip(rows, times_ms.values(), strict=True)]
    return Table(head, rows, marked=0)


def _examined(test: Mapping[str, Any]) -> tuple[str, ...]:
    accuracy = test["accuracy"]
    return (
        share(accuracy["mean"]),
        f"{accuracy['low']:.2%} to {accuracy['high']:.2%}",
        metric(test["nll"]),
        metric(test["ece"]),
        share(test["worst_class_accuracy"]),
        share(test.get("corrupted_accuracy")),
        share(test["agreement"]),
    )


def winner(result: Result) -> Table | None:
    """The searched values of the best student."""
    best = result.winner
    if best is None or not best.values:
        return None
    short = short_names(result.ranges)
    rows = [(short[n], show(best.values[n]), shown_range(result, n)) for n in result.ranges if n in best.values]
    return Table(("value", "of the best student", "searched"), rows, numeric=False)


def shown_range(result: Result, name: str) -> str:
    """A range as in its file, without the surrounding braces."""
    return str(result.ranges[name]).strip("{} ")


def facts_of_best(result: Result) -> list[tuple[str, str]]:
    """Size and speed of the best student."""
    best = result.summary.get("best", {})
    told = {
        "parameters": "{:,}",
        "multiply_adds": "{:,}",
        "latency_ms": "{:.3f} ms per sample, one thread",
        "bytes": "{:,}",
    }
    return [
        (name.split("_ms")[0].replace("_", "-"), form.format(best[name])) for name, form in told.items() if name in best
    ]


def facts_of_search(result: Result) -> list[tuple[str, str]]:
    """What was searched, and at what cost."""
    summary, made_with = result.summary, result.made_with
    counts = Counter(str(trial.status) for trial in result.trials)
    refused = counts.pop(Status.INFEASIBLE, 0)
    told = ", ".join(f"{counts[status]:,} {status}" for status in map(str, Status) if counts[status])
    found = [("objective", ", ".join(result.objectives)), ("trials", f"{result.num_trials:,}{told and f' ({told})'}")]
    if refused:
        found.append(("besides, refused (over a limit, or invalid)", f"{refused:,}"))
    found.append(("epochs trained", f"{result.num_epochs:,}"))
    if "time" in summary:
        times = summary["time"]
        was_resumed = summary.get("sessions", 1) > 1
        found.append(("time of the last run" if was_resumed else "time", duration(times["total_s"])))
        for name, what in _PHASES.items():
            of_all = ", in all runs" if was_resumed and name in _OVER_ALL_RUNS else ""
            found += [(f"– {what}{of_all}", duration(times[name]))] if times.get(name) else []
        found.append(("pace", f"{rate(summary['trials_per_hour'])}, {summary['concurrent_trials']} at a time"))
        found.append(("training share", f"{summary['training_share']:.0%}"))
    if summary.get("ended_by"):
        found.append(("ended by", summary["ended_by"]))
    if "machine" in made_with:
        found.append(("machine", f"{made_with['machine']}, {made_with.get('cpus', '?')} processors"))
    names = ("distill_tune", "python", "torch", "ray", "optuna", "git")
    found.append(("versions", ", ".join(f"{name} {made_with[name]}" for name in names if name in made_with)))
    return found


def leaders(result: Result) -> Table | None:
    """The best trials of the search."""
    best = result.trained[::-1][:_LEADERS]
    if not best:
        return None
    rows = [
        (
            trial.trial_id,
            str(trial.status),
            share(result.last(trial)) if is_share(result.objective) else metric(result.last(trial)),
            f"{trial.epochs:,}",
            f"{trial.parameters:,}",
            settings(trial.values),
        )
        for trial in best
    ]
    marked = next((place for place, trial in enumerate(best) if trial is result.winner), None)
    head = ("trial", "status", result.objective, "epochs", "parameters", "values")
    return Table(head, rows, marked=marked)


def front_members(result: Result) -> Table | None:
    """The front of a search with several objectives, with its confirmed values."""
    front = result.summary.get("front")
    if not front:
        return None
    confirmed = [member["confirmed"]["values"] if member["confirmed"] else {} for member in front]
    names, again = list(front[0]["values"]), next((list(values) for values in confirmed if values), [])
    rows = [
        (
            f"{member['trial']:04d}",
            *(_objective(name, member["values"][name]) for name in names),
            *(_objective(name, values.get(name)) for name in again),
        )
        for member, values in zip(front, confirmed, strict=True)
    ]
    return Table(("trial", *names, *(f"{name}, confirmed" for name in again)), rows)


def _objective(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2%}" if is_share(name) else f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


def rungs(result: Result) -> Table | None:
    """The scheduler's rungs: how many trials each compared, its cutoff, and how well it predicted the final order."""
    found = result.summary.get("rungs")
    if not found:
        return None
    columns = {
        "after epoch": [str(rung["epochs"]) for rung in found],
        "trials compared": [str(rung["count"]) for rung in found],
        "what it took to go on": [_objective(result.objective, rung["cutoff"]) for rung in found],
        "agrees with the final order": [
            "-" if rung["rank_correlation"] is None else f"{rung['rank_correlation']:.2f} ({rung['compared']} trials)"
            for rung in found
        ],
    }
    if len(result.objectives) > 1:  # no single value decides which trials continue
        del columns["what it took to go on"]
    return Table(tuple(columns), [*zip(*columns.values(), strict=True)])


def failures(result: Result) -> Table | None:
    """Why trials failed, the most frequent cause first."""
    causes = Counter(trial.message for trial in result.trials if trial.status is Status.FAILED)
    if not causes:
        return None
    rows = [(f"{count:,}", cause or "no message") for cause, count in causes.most_common(_CAUSES)]
    return Table(("trials", "failed with"), rows, numeric=False)
