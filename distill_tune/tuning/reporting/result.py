"""A result folder as its report sees it: read from the files alone, whether the search has ended or still runs."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from distill_tune.config.leaves import leaves, named, range_at
from distill_tune.config.load import MADE_WITH, read_toml
from distill_tune.config.ranges import Range
from distill_tune.config.searching import COSTS
from distill_tune.config.validate import validate_section
from distill_tune.errors import CacheError, ConfigError
from distill_tune.export.result_folder import BASELINE, SEARCH_TOML, SUMMARY
from distill_tune.tuning.state.history import History
from distill_tune.tuning.state.logbook import LOGBOOK
from distill_tune.tuning.state.records import Report, Status, TrialRecord, as_they_came, sign_of, tie_break_of

_SHARES = ("accuracy", "agreement")
_WITH_A_VERDICT = (
    "best",
    "baselines",
    "teacher",
    "test_opened",
    "selection_bias",
    "selection_bias_epochs",
    "flattered",
)
"""Keys that a summary with a verdict must have; those of versions that are too old lack some."""
_OF_ITS_SESSION = (
    "status",
    "message",
    "ended_by",
    "trials",
    "epochs_trained",
    "baseline_search",
    "rungs",
    "time",
    "trials_per_hour",
    "concurrent_trials",
    "lanes",
    "training_share",
)
"""Keys of a summary that no longer hold once the search continues."""


@dataclass(frozen=True)
class Result:
    """What a search has recorded so far."""

    folder: Path
    tables: dict[str, Any]
    """`search.toml` without the record of what made it."""
    made_with: dict[str, Any]
    history: History
    summary: dict[str, Any] = field(default_factory=dict)
    """`summary.json`, or what still holds of it if the search has resumed since; empty if there is none yet."""
    baseline: Result | None = None
    """The accompanying search without a teacher, if there is one."""

    @classmethod
    def of(cls, folder: Path) -> Result:
        """The result in a folder.

        Raises:
            ConfigError: there is no search in it, or its files cannot be read.
        """
        if not (folder / SEARCH_TOML).is_file() or not (folder / LOGBOOK).is_file():
            raise ConfigError(f"{folder}: must be the result folder of a search, but holds none; give results/NAME.")
        tables = read_toml(folder / SEARCH_TOML)
        made_with = tables.pop(MADE_WITH, {})
        below = folder / BASELINE
        try:
            history = History.of(folder)
        except CacheError as error:
            raise ConfigError(str(error)) from error
        baseline = Result.of(below) if (below / LOGBOOK).is_file() else None
        place = folder.absolute() if folder.name.strip(".") else folder.resolve()  # `.` has no name, `..` the wrong one
        summary = _still_true(_summary(folder / SUMMARY), history)
        if "status" in summary:
            _let_rest(history, *([baseline.history] if baseline else []))
        return cls(place, tables, made_with, history, summary, baseline)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.folder.name

    @property
    def status(self) -> str:
        """As in the summary; "unfinished" while it runs, after a kill, and after it has been resumed."""
        return str(self.summary.get("status", "unfinished"))

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """The searched ranges, by dotted name."""
        found = {path: range_at(path, value) for path, value in leaves(self.tables)}
        return named({path: each for path, each in found.items() if each is not None})

    @cached_property
    def objectives(self) -> list[str]:
        """The objectives of the search; the first decides the winner.

        The rest of the section is not validated: a custom sampler or scheduler need not be importable here.
        """
        told = self.tables.get("search", {})
        some = {key: told[key] for key in ("objectives",) if key in told} if isinstance(told, dict) else told
        try:
            return [*validate_section("search", some).objectives]
        except ConfigError as error:
            raise ConfigError(f"{self.folder / SEARCH_TOML}: {error}") from error

    @property
    def objective(self) -> str:
        """The first objective."""
        return self.objectives[0]

    @property
    def sign(self) -> int:
        """1 if a larger objective is better, -1 if a smaller one is."""
        return sign_of(self.objective)

    @property
    def trials(self) -> list[TrialRecord]:
        """All trials, in the order in which they were proposed; of a failed search, those that --resume tries again."""
        given_up = self.history.given_up if self.status == "failed" else {}
        return list((self.history.records or given_up).values())

    @cached_property
    def trained(self) -> list[TrialRecord]:
        """Trials that have not failed and have a value after their latest epoch, worst first: the last is drawn on top.

        Ties are in the order that all rankings use. A trial that has just diverged but is not yet marked as failed has
        no value.
        """
        found = [trial for trial in self.trials if trial.is_usable and math.isfinite(self.last(trial))]
        return sorted(found, key=lambda trial: (self.sign * self.last(trial), tie_break_of(trial.last)))

    def last(self, trial: TrialRecord) -> float:
        """The objective after a trial's latest epoch."""
        return self.value(trial, trial.last)

    def value(self, trial: TrialRecord, report: Report) -> float:
        """The objective of a trial at a report."""
        return trial.value_of(self.objective, report)

    @cached_property
    def winner(self) -> TrialRecord | None:
        """The trial with the best student; None if it is not known yet."""
        number = self.summary.get("best", {}).get("trial")
        return next((trial for trial in self.trials if trial.number == number), None)

    def progress(self) -> Iterator[tuple[int, float]]:
        """Epochs trained so far, and the best value of trials that had reached a rung or finished, at each improvement.

        Trials that failed later count only for their epochs.
        """
        best = None
        for count, (trial, report) in enumerate(self._in_turn(), 1):
            if report["epoch"] not in (*trial.rungs, trial.epochs):
                continue
            value = self.value(trial, report)
            if trial.status is Status.FAILED or not math.isfinite(value):
                continue
            if best is None or self.sign * value > self.sign * best:
                best = value
                yield count, best

    @property
    def num_trials(self) -> int:
        """The number of trials as the summary counts them, without the infeasible ones."""
        return sum(trial.status is not Status.INFEASIBLE for trial in self.trials)

    @property
    def num_epochs(self) -> int:
        """The epochs trained over all trials."""
        return sum(len(trial.reports) for trial in self.trials)

    def _in_turn(self) -> list[tuple[TrialRecord, Report]]:
        """Every epoch of every trial, in the order in which their reports reached the driver."""
        return as_they_came(self.trials)


def told_apart(results: Sequence[Result]) -> list[str]:
    """The label of each result: its name, or its path below their common parent if two share a name."""
    names = [result.name for result in results]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([result.folder.parent for result in results])
    return [str(result.folder.relative_to(common)) for result in results]


def is_share(name: str) -> bool:
    """Whether an objective or a metric is a fraction, which is displayed in percent."""
    return name not in COSTS and name.endswith(_SHARES)


def _summary(path: Path) -> dict[str, Any]:
    """The summary; empty if there is no file. It is written atomically, so what is there is whole."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ConfigError(f"{path}: is damaged ({error}); --extend or --resume writes it anew.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: must be an object as a search writes it, but is another; put the file back.")
    if "verdict" in found and (missing := [name for name in _WITH_A_VERDICT if name not in found]):
        raise ConfigError(
            f"{path}: must have {missing[0]!r}, but has none: an older distill_tune wrote it; --extend writes another."
        )
    return found


def _still_true(summary: dict[str, Any], history: History) -> dict[str, Any]:
    """The summary without what held only for its own session, if another has begun since.

    A verdict stays only if the search was complete, and then all stays until it is extended: a session that ends before
    it has noted its extension has changed nothing.
    """
    is_complete = summary.get("status") == "complete"
    goes_on = summary.get("sessions", history.sessions) < history.sessions  # older versions did not record it
    if history.is_finished if is_complete else not goes_on:
        return summary
    kept = [name for name in summary if name not in _OF_ITS_SESSION] if is_complete else ["name", "space"]
    return {name: summary[name] for name in kept if name in summary}


def _let_rest(*histories: History) -> None:
    """Mark running trials as interrupted: no search is running, but a trial to be resumed has no end in the logbook."""
    for history in histories:
        for record in (*history.records.values(), *history.given_up.values()):
            if record.status is Status.RUNNING:
                record.status = Status.INTERRUPTED
