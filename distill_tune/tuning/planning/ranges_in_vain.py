"""Ranges of a student that change nothing about it: left out, since trials would repeat each other unnoticed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy

from distill_tune.config import Space
from distill_tune.config.corners import edges_of
from distill_tune.config.leaves import KeyPath, take_out
from distill_tune.config.messages import dotted
from distill_tune.data import Dataset
from distill_tune.errors import ConfigError
from distill_tune.students import Student


def without_ranges_in_vain(space: Space, dataset: Dataset, say: Callable[[str], None]) -> Space:
    """The same space without ranges of options that no student of their family reads on this data; each is named."""
    found = {path: why for family in space.families for path, why in _in_vain(space, family, dataset).items()}
    tables = deepcopy(space.tables)
    for path, why in found.items():
        say(f"warning: {dotted(path)}: its range is left out, since it has no effect: {why}")
        take_out(tables, path)
    if isinstance(start_with := tables.get("search", {}).get("start_with"), list):
        gone = {dotted(path) for path in found}
        tables["search"]["start_with"] = [
            {name: value for name, value in values.items() if name not in gone} for values in start_with
        ]
    return Space(tables, {path: ranged for path, ranged in space.ranges.items() if path not in found})


def _in_vain(space: Space, family: str, dataset: Dataset) -> dict[KeyPath, str]:
    """The ranges of a family without effect at any edge of its students, with the reasons."""
    if ":" in family:  # a custom family may use what the one that it extends does not
        return {}
    reasons = []
    for values in edges_of(space, family):
        with suppress(ConfigError):  # ends of several ranges may break a rule together, which no trial needs to do
            reasons.append(Student.of(space.at(values).student).without_effect(dataset.input_shape))
    of_family = [path for path in space.ranges if path[:2] == ("student", family)]
    return {path: reasons[0][path[2]] for path in of_family if reasons and all(path[2] in each for each in reasons)}
