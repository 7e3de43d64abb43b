"""Ranges: what a search space may have in place of a run's value.

{ choice = [4, 8, 16] }      one of the values (also lists, but not tables: `widths = { choice = [[20, 20], [64]] }`)
{ int = [2, 4] }             an integer, both ends included
{ log_int = [8, 256] }       an integer, evenly spread over its logarithm
{ uniform = [0.0, 1.0] }     a number
{ log = [1e-4, 1e-1] }       a number, evenly spread over its logarithm
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from distill_tune.config.messages import BrokenRule, ValuePath, shown
from distill_tune.config.numbers import LARGEST
from distill_tune.registry import closest, did_you_mean

KINDS = ("choice", "int", "log", "log_int", "uniform")
_FEW = 64
"""Integer ranges of at most this many values are checked value by value."""


class Suggests(Protocol):
    """The part of an Optuna trial that a range needs; this package does not import Optuna."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...  # noqa: D102
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...  # noqa: D102
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class Choice:
    """One of a list of values."""

    values: tuple[Any, ...]
    kind: ClassVar[str] = "choice"

    def __str__(self) -> str:
        return shown({self.kind: list(self.values)})

    def suggest(self, trial: Suggests, name: str) -> Any:
        """Sample through `trial`; lists, which Optuna cannot hold, are passed as JSON text."""
        found = trial.suggest_categorical(name, [self.as_optuna(value) for value in self.values])
        return json.loads(found) if self._as_text else found

    def as_optuna(self, value: Any) -> Any:
        """A value as Optuna's trials hold it; 8.0 becomes 8 if the choice has 8."""
        value = self.values[self.values.index(value)] if value in self.values else value
        return json.dumps(value) if self._as_text else value

    @property
    def _as_text(self) -> bool:
        return any(isinstance(value, list) for value in self.values)

    @property
    def num_values(self) -> int:
        """How many values it has."""
        return len(self.values)

    def corners(self) -> tuple[Any, ...]:
        """The outermost values; for a choice, all of them."""
        return self.values

    def probes(self) -> tuple[Any, ...]:
        """Values to check in order to know that every value of the range is allowed."""
        return self.values

    def contains(self, value: Any) -> bool:
        """Whether a trial can have this value."""
        return value in self.values

    def at(self, share: float) -> Any:
        """The value at a share of the way through the sorted numbers, or the lists as given; else the first."""
        numbers, lists = all(map(_is_number, self.values)), all(isinstance(value, list) for value in self.values)
        ordered = sorted(self.values) if numbers else self.values
        return ordered[int(share * (len(ordered) - 1)) if numbers or lists else 0]


@dataclass(frozen=True)
class Interval:
    """Integers or numbers between two ends, both included."""

    low: float
    high: float
    integer: bool
    log: bool

    @property
    def kind(self) -> str:
        """The key that it is written with."""
        return ("log_int" if self.log else "int") if self.integer else ("log" if self.log else "uniform")

    def __str__(self) -> str:
        return shown({self.kind: [self.low, self.high]})

    def suggest(self, trial: Suggests, name: str) -> Any:
        """Sample through `trial`."""
        if self.integer:
            return trial.suggest_int(name, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def as_optuna(self, value: Any) -> Any:
        """A value as Optuna's trials hold it."""
        return int(value) if self.integer else float(value)

    @property
    def num_values(self) -> float:
        """How many values it has: infinitely many unless they are integers."""
        return self.high - self.low + 1 if self.integer else math.inf

    def corners(self) -> tuple[Any, ...]:
        """The outermost values."""
        return (self.low, self.high)

    def probes(self) -> tuple[Any, ...]:
        """Values to check in order to know that every value of the range is allowed.

        The ends do not reveal that a kernel may be 3 or 5 but not 4, or that not every batch can be halved. So few
        integers are all checked, and of many also the second, which shares no divisor but 1 with the first.
        """
        if not self.integer:
            return self.corners()
        low, high = int(self.low), int(self.high)
        return tuple(range(low, high + 1)) if high - low < _FEW else (low, low + 1, high)

    def contains(self, value: Any) -> bool:
        """Whether a trial can have this value."""
        return _is_number(value) and self.low <= value <= self.high and not (self.integer and value % 1)

    def at(self, share: float) -> float:
        """The number at a share of the way from the low to the high end, on a log scale if `log`."""
        found = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return round(found) if self.integer else min(max(found, self.low), self.high)

    def with_integers(self) -> Interval | None:
        """The integers of the interval as a range; None if there are fewer than two."""
        low, high = math.ceil(self.low), math.floor(self.high)
        return Interval(low, high, integer=True, log=self.log) if low < high else None


Range = Choice | Interval


def is_range(value: Any) -> bool:
    """Whether a TOML value is a range: a table with one key that names a kind."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in KINDS


def looks_like_range(value: Any) -> bool:
    """Whether a TOML value looks like a misspelt range: a list under a single key close to a kind's name."""
    if not isinstance(value, dict) or len(value) != 1 or is_range(value):
        return False
    ((kind, ends),) = value.items()
    return isinstance(ends, list) and closest(kind, list(KINDS)) is not None


def unknown_kind(value: dict[str, Any]) -> str:
    """The message for a table with one unknown key in place of a range."""
    kind = next(iter(value))
    return f"{shown(kind)} is no kind of range.{did_you_mean(kind, list(KINDS), _log_kind(kind))}"


def _log_kind(kind: str) -> str | None:
    """The kind on a log scale, if an unknown one asks for it (`loguniform`): other kinds may be closer in letters."""
    return ("log_int" if "int" in kind else "log") if "log" in kind else None


def parse_range(path: ValuePath, value: dict[str, Any]) -> Range:
    """The range that a TOML table at `path` describes.

    Raises:
        BrokenRule: the range is malformed, empty or reversed, or logarithmic with an end that is not positive.
    """
    kind, ends = next(iter(value.items()))
    if kind == "choice":
        return parse_choice(path, ends)
    if not (isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends))):
        raise BrokenRule(path, f"must be {{ {kind} = [low, high] }} with two numbers, but got {shown(value)}.")
    low, high = ends
    if max(abs(low), abs(high)) > LARGEST:  # Optuna's samplers compute with floats
        raise BrokenRule(path, f"a range must lie between -2^53 and 2^53, but got {shown(value)}.")
    integer, log = kind.endswith("int"), kind.startswith("log")
    if integer and not all(isinstance(end, int) for end in ends):
        cure = f"For numbers in between, write {shown({'log' if log else 'uniform': ends})}."
        raise BrokenRule(path, f"the ends of {kind} must be integers, but got {shown(value)}.", cure=cure)
    if log and low <= 0:
        cure = f"Use {'int' if integer else 'uniform'}, or a positive low."
        raise BrokenRule(path, f"low > 0 must hold for {kind}, but got {shown(value)}.", cure=cure)
    if low >= high:
        cure = f"Write {shown({kind: [high, low]})}." if low > high else f"Write the value itself, {low}."
        raise BrokenRule(path, f"low < high must hold, but got {shown(value)}.", cure=cure)
    return Interval(low if integer else float(low), high if integer else float(high), integer, log)


def parse_choice(path: ValuePath, values: Any) -> Choice:
    """The choice of one of `values`.

    Raises:
        BrokenRule: there are none, two are equal, one is a range, or one is no number, string, boolean or list.
    """
    if not isinstance(values, list) or not values:
        raise BrokenRule(path, f"must have at least one value to choose from, but got {shown(values)}.")
    try:
        json.dumps(values, allow_nan=False)
    except (TypeError, ValueError) as error:
        rule = f"a choice is of finite numbers, strings, booleans and lists of them, but got {shown(values)}."
        raise BrokenRule(path, rule) from error
    if nested := [value for value in values if is_range(value)]:
        rule = f"a choice is of values, but {shown(nested[0])} is a range."
        raise BrokenRule(path, rule, cure="Write its values out, or that range alone.")
    if tables := _tables_in(values):
        rule = f"a choice is of finite numbers, strings, booleans and lists of them, but {shown(tables[0])} is a table."
        raise BrokenRule(path, rule, cure="Write the range at the key inside the table.")
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        rule = f"the values of a choice must differ, but {shown(twice[0])} stands twice in {shown(values)}."
        raise BrokenRule(path, rule)
    return Choice(tuple(values))


def _tables_in(value: Any) -> list[Any]:
    """The tables in a list and its nested lists."""
    if isinstance(value, list):
        return [table for each in value for table in _tables_in(each)]
    return [value] if isinstance(value, dict) else []


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
