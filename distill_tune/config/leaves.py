"""Where a configuration's values and ranges stand: tables walked from their section down to what is no table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distill_tune.config.messages import NUMBER_RULES, UNKNOWN_KEY, BrokenRule, dotted
from distill_tune.config.ranges import (
    Interval,
    Range,
    is_range,
    looks_like_range,
    parse_choice,
    parse_range,
    unknown_kind,
)
from distill_tune.config.sections import SEARCHED, SEARCHED_OF_TEACHERS

NAMES = {"student": ("family", "init"), "loss": ("kind",), "optim": ("kind",)}
"""The keys of a section that choose; a plain list there means: choose one."""

KeyPath = tuple[str, ...]
"""Section, then key by key."""

FAMILY: KeyPath = ("student", "family")
PACES: KeyPath = ("optim", "paces")


def leaves(tables: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Path and value of everything below the searched sections that is no table, or is a range."""
    for section in SEARCHED:
        if isinstance(tables.get(section), dict):
            for key, value in tables[section].items():
                yield from _below((section, key), value)
    for path in SEARCHED_OF_TEACHERS:
        if (value := found_at(tables, path)) is not None:
            yield from _below(path, value)


def _below(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    if path == PACES:  # has no ranges
        return
    if isinstance(value, dict) and (is_own_table(path) or not (is_range(value) or looks_like_range(value))):
        for key, below in value.items():
            yield from _below((*path, key), below)
    else:
        yield path, value


def is_own_table(path: KeyPath) -> bool:
    """Whether the options of a user's own part stand there: a table, whatever they are called."""
    return len(path) == 2 and path[0] in (*NAMES, "data") and ":" in path[1]


def range_at(path: KeyPath, value: Any) -> Range | None:
    """The range that a value stands for; None where it is a fixed value.

    Raises:
        BrokenRule: it looks like a range and is none.
    """
    if looks_like_range(value):
        raise BrokenRule(path, unknown_kind(value))
    if is_range(value):
        return parse_range(path, value)
    return parse_choice(path, value) if is_name(path) and isinstance(value, list) else None


def named(ranges: Mapping[KeyPath, Range]) -> dict[str, Range]:
    """The same by the names that sampled values have."""
    return {dotted(path): found for path, found in ranges.items()}


def found_at(tables: Any, path: KeyPath) -> Any:
    """What stands at `path`; None where nothing does."""
    for part in path:
        tables = tables.get(part) if isinstance(tables, dict) else None
    return tables


def put(tables: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Write a value into tables, at a path whose tables need not exist."""
    for part in path[:-1]:
        tables = tables.setdefault(part, {})
    tables[path[-1]] = value


def take_out(tables: dict[str, Any], path: KeyPath) -> None:
    """Remove the value at a path at which there is one."""
    for part in path[:-1]:
        tables = tables[part]
    del tables[path[-1]]


def is_name(path: KeyPath) -> bool:
    """Whether the key at a path is one that chooses."""
    return len(path) == 2 and path[1] in NAMES.get(path[0], ())


def cure(culprit: Range | None, broken: BrokenRule) -> str:
    """What to do about a range one of whose values breaks a rule."""
    if not isinstance(culprit, Interval) or broken.kind == UNKNOWN_KEY:
        return ""
    if broken.kind in NUMBER_RULES:
        integers = culprit.with_integers()
        return f"Write {integers}." if integers else f"There are no two integers in {culprit}."
    if broken.kind == "bool_type":
        return "Write { choice = [false, true] }."
    if broken.kind in ("string_type", "literal_error"):
        return "Write { choice = [...] } with those to choose from."
    return f"Every value of {culprit} must be allowed."
