"""Ranges: what may stand in a search space where a run has a value.

{ choice = [4, 8, 16] }      one of the values (lists too: `widths = { choice = [[20, 20], [64]] }`)
{ int = [2, 4] }             an integer, both ends included
{ log_int = [8, 256] }       an integer, evenly spread over its logarithm
{ uniform = [0.0, 1.0] }     a number
{ log = [1e-4, 1e-1] }       a number, evenly spread over its logarithm
"""

import json
from dataclasses import dataclass
from typing import Any, Protocol

from distill_tune.errors import ConfigError
from distill_tune.registry import did_you_mean


class Suggests(Protocol):
    """The part of an Optuna trial that a range needs; this package does not import Optuna."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...  # noqa: D102
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...  # noqa: D102
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Choice:
    """One of a list of values."""

    values: tuple[Any, ...]

    def suggest(self, trial: Suggests, name: str) -> Any:
        """Sample through `trial`; values that Optuna cannot hold (lists) go through it as their JSON text."""
        if any(isinstance(value, list) for value in self.values):
            return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in self.values]))
        return trial.suggest_categorical(name, list(self.values))

    def corners(self) -> tuple[Any, ...]:
        """Values that show whether every value of the range is allowed."""
        return self.values

    def contains(self, value: Any) -> bool:
        """Whether a trial can have this value."""
        return value in self.values


@dataclass(frozen=True)
class Interval:
    """Integers or numbers between two ends, both included."""

    low: float
    high: float
    integer: bool
    log: bool

    def suggest(self, trial: Suggests, name: str) -> Any:
        """Sample through `trial`."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def corners(self) -> tuple[Any, ...]:
        """Values that show whether every value of the range is allowed."""
        return (self.low, self.high)

    def contains(self, value: Any) -> bool:
        """Whether a trial can have this value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


Range = Choice | Interval
KINDS = ("choice", "int", "log", "log_int", "uniform")


def is_range(value: Any) -> bool:
    """Whether a TOML value is written as a range: a table with one key that names a kind."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in KINDS


def parse_range(key: str, value: dict[str, Any]) -> Range:
    """The range that a TOML table describes.

    Raises:
        ConfigError: the range is empty, upside down, or a logarithm of something not positive.
    """
    kind, ends = next(iter(value.items()))
    if kind == "choice":
        return _parse_choice(key, ends)
    if not (isinstance(ends, list) and len(ends) == 2 and all(_is_number(end) for end in ends)):
        raise ConfigError(f"{key}: a range is written {{ {kind} = [low, high] }} with two numbers, but got {ends!r}.")
    low, high = ends
    if kind in ("int", "log_int") and not all(isinstance(end, int) for end in ends):
        raise ConfigError(f"{key}: the ends of {{ {kind} = ... }} must be integers, but got {ends!r}.")
    if kind in ("log", "log_int") and low <= 0:
        raise ConfigError(
            f"{key}: {{ {kind} = ... }} needs low > 0, but got low={low}; use `uniform` or a positive low."
        )
    if low >= high:
        rule = "low < high must hold" if low > high else "low and high are equal, write the value itself"
        raise ConfigError(f"{key}: {rule}, but got {{ {kind} = [{low}, {high}] }}.")
    integer = kind in ("int", "log_int")
    return Interval(low if integer else float(low), high if integer else float(high), integer, kind.startswith("log"))


def unknown_range(key: str, value: Any) -> ConfigError:
    """The error for a table with one key that looks like a misspelt range."""
    return ConfigError(
        f"{key}: {next(iter(value))!r} is no kind of range.{did_you_mean(next(iter(value)), list(KINDS))}"
    )


def _parse_choice(key: str, values: Any) -> Choice:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"{key}: {{ choice = [...] }} needs at least one value, but got {values!r}.")
    if any(value in values[:i] for i, value in enumerate(values)):
        raise ConfigError(f"{key}: the values of a choice must differ, but got {values!r}.")
    return Choice(tuple(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
