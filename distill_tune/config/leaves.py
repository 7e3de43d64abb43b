"""Paths of a configuration's values and ranges: walks tables from their section down to the leaves."""

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
"""The keys of a section that choose; a plain list there is a choice."""

KeyPath = tuple[str, ...]
"""A section, then keys."""

FAMILY: KeyPath = ("student", "family")
PACES: KeyPath = ("optim", "paces")


def leaves(tables: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Path and value of everything in the searched sections that is a range or not a table."""
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
    """Whether the path is that of a user-defined part's options, which are a table whatever their names."""
    return len(path) == 2 and path[0] in (*NAMES, "data") and ":" in path[1]


def range_at(path: KeyPath, value: Any) -> Range | None:
    """The range that a value describes; None for a fixed value.

    Raises:
        BrokenRule: it looks like a range but is not a valid one.
    """
    if looks_like_range(value):
        raise BrokenRule(path, unknown_kind(value))
    if is_range(value):
        return parse_range(path, value)
    return parse_choice(path, value) if is_name(path) and isinstance(value, list) else None


def named(ranges: Mapping[KeyPath, Range]) -> dict[str, Range]:
    """The same ranges by dotted name, as sampled values are named."""
    return {dotted(path): found for path, found in ranges.items()}


def found_at(tables: Any, path: KeyPath) -> Any:
    """The value at `path`; None if there is none."""
    for part in path:
        tables = tables.get(part) if isinstance(tables, dict) else None
    return tables


def put(tables: dict[str, Any], path: KeyPath, value: Any) -> None:
    """Set the value at a path, making tables as needed."""
    for part in path[:-1]:
        tables = tables.setdefault(part, {})
    tables[path[-1]] = value


def take_out(tables: dict[str, Any], path: KeyPath) -> None:
    """Remove the value at a path, which must exist."""
    for part in path[:-1]:
        tables = tables[part]
    del tables[path[-1]]


def is_name(path: KeyPath) -> bool:
    """Whether the key at a path is one that chooses."""
    return len(path) == 2 and path[1] in NAMES.get(path[0], ())


def cure(culprit: Range | None, broken: BrokenRule) -> str:
    """How to fix a range that contains a value that breaks a rule."""
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
