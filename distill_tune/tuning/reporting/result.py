"""A result folder as its report sees it: read from the files alone, of a search that has ended or one at work."""

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
from distill_tune.tuning.state.records import Report, Status, TrialRecord, sign_of, tie_break_of

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
"""What stands in a summary beside its verdict, by whatever version that can be read."""
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
"""What a summary says of a search that is no longer so once the search goes on."""


@dataclass(frozen=True)
class Result:
    """What a search has written down so far."""

    folder: Path
    tables: dict[str, Any]
    """`search.toml`, without what made it."""
    made_with: dict[str, Any]
    history: History
    summary: dict[str, Any] = field(default_factory=dict)
    """`summary.json`, of one that has been taken up since what still holds; empty where there is none yet."""
    baseline: Result | None = None
    """The search without a teacher beside it, where there is one."""

    @classmethod
    def of(cls, folder: Path) -> Result:
        """The result in a folder.

        Raises:
            ConfigError: there is no search in it, or what is there cannot be read.
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
        place = folder.absolute() if folder.name.strip(".") else folder.resolve()  # `.` has no name, `..` another's
        summary = _still_true(_summary(folder / SUMMARY), history)
        if "status" in summary:
            _let_rest(history, *([baseline.history] if baseline else []))
        return cls(place, tables, made_with, history, summary, baseline)

    @property
    def name(self) -> str:
        """Of the folder."""
        return self.folder.name

    @property
    def status(self) -> str:
        """As in the summary; "unfinished" while it runs, after a kill, and once it has been taken up again."""
        return str(self.summary.get("status", "unfinished"))

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """What was searched, by dotted name."""
        found = {path: range_at(path, value) for path, value in leaves(self.tables)}
        return named({path: each for path, each in found.items() if each is not None})

    @cached_property
    def objectives(self) -> list[str]:
        """What was searched for; the first one names the winner.

        Nothing else of the section is looked at: a sampler or scheduler of the user's own need not be importable here.
        """
        told = self.tables.get("search", {})
        some = {key: told[key] for key in ("objectives",) if key in told} if isinstance(told, dict) else told
        try:
            return [*validate_section("search", some).objectives]
        except ConfigError as error:
            raise ConfigError(f"{self.folder / SEARCH_TOML}: {error}") from error

    @property
    def objective(self) -> str:
        """The first of them."""
        return self.objectives[0]

    @property
    def sign(self) -> int:
        """1 where a larger objective is better, -1 where a smaller one is."""
        return sign_of(self.objective)

    @property
    def trials(self) -> list[TrialRecord]:
        """All of them, in the order in which they were proposed."""
        return list(self.history.records.values())

    @cached_property
    def trained(self) -> list[TrialRecord]:
        """Those with a value after their latest epoch that have not failed, the worst first: the last lies on top.

        Equals are in the order in which everybody ranks them.

        One that has just diverged has none, until it is said that it has failed.
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
        """The trial whose student is the best one; None where nobody knows yet."""
        number = self.summary.get("best", {}).get("trial")
        return next((trial for trial in self.trials if trial.number == number), None)

    def progress(self) -> Iterator[tuple[int, float]]:
        """Epochs trained so far, and the best value of all trials that had come to a rung or their end by then.

        Those that failed later have trained, and count for nothing else.
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
        """As the summary counts them: without the infeasible ones."""
        return sum(trial.status is not Status.INFEASIBLE for trial in self.trials)

    @property
    def num_epochs(self) -> int:
        """Trained over all trials."""
        return sum(len(trial.reports) for trial in self.trials)

    def _in_turn(self) -> list[tuple[TrialRecord, Report]]:
        """Every epoch of every trial, in the order in which the driver heard of them."""
        every = [(trial, report) for trial in self.trials for report in trial.reports]
        return sorted(every, key=lambda each: each[0].heard_s[int(each[1]["epoch"])])


def told_apart(results: Sequence[Result]) -> list[str]:
    """What each is called beside the others: by its name, or by its path from where they part if two have one name."""
    names = [result.name for result in results]
    if len(set(names)) == len(names):
        return names
    common = os.path.commonpath([result.folder.parent for result in results])
    return [str(result.folder.relative_to(common)) for result in results]


def is_share(name: str) -> bool:
    """Whether an objective or a metric is a fraction, which people read in percent."""
    return name not in COSTS and name.endswith(_SHARES)


def _summary(path: Path) -> dict[str, Any]:
    """What is there; nothing where it is not, and a search writes it whole or not at all."""
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
    """A summary without what only its own session knew, once another has begun; then of its rest a verdict holds."""
    is_complete = summary.get("status") == "complete"
    goes_on = summary.get("sessions", history.sessions) < history.sessions  # older versions did not say
    if not goes_on and (history.is_finished or not is_complete):
        return summary
    kept = [name for name in summary if name not in _OF_ITS_SESSION] if is_complete else ["name", "space"]
    return {name: summary[name] for name in kept if name in summary}


def _let_rest(*histories: History) -> None:
    """No trial runs where nobody is at work on the search, though what is to go on has no end in its logbook."""
    for history in histories:
        for record in history.records.values():
            if record.status is Status.RUNNING:
                record.status = Status.INTERRUPTED
