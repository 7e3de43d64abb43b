"""Corners of a search space: ranges at their ends and choices at each value, to represent everything in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from math import prod
from typing import Any, Literal

from distill_tune.config.leaves import KeyPath, is_name, named
from distill_tune.config.messages import dotted
from distill_tune.config.presence import USE, Presence, Values
from distill_tune.config.ranges import Range
from distill_tune.config.space import Space


def combinations(ranges: Mapping[KeyPath, Range]) -> Iterator[Values]:
    """All combinations of the ranges' corners; a single empty one if there are no ranges."""
    for values in product(*(found.corners() for found in ranges.values())):
        yield dict(zip(named(ranges), values, strict=True))


def of_some_trial(space: Space, values: Values | None = None) -> dict[KeyPath, Range]:
    """The ranges that some trial has: not those of a table that nothing chooses, or of a mix that no trial uses.

    Only trials with the given `values` are considered, if there are any.
    """
    # more additional loss terms make more parameters exist
    trials = [chosen | (values or {}) for chosen in _chosen(space, max)]
    presence = Presence(space.tables, space.config)
    return {path: r for path, r in space.ranges.items() if any(presence.exists(path, trial) for trial in trials)}


def of_every_trial(space: Space, values: Values | None = None) -> dict[KeyPath, Range]:
    """The ranges that every trial (with the given `values`) has, whatever it chooses."""
    trials = [chosen | (values or {}) for chosen in _chosen(space, min)]
    presence = Presence(space.tables, space.config)
    return {path: r for path, r in space.ranges.items() if all(presence.exists(path, trial) for trial in trials)}


def num_combinations(space: Space) -> float:
    """How many combinations of values trials can have, at most; infinite with a range of decimals.

    There are fewer if values break a rule or a limit, or if a term of the loss may have no weight and so no options.
    """
    presence = Presence(space.tables, space.config)
    others = {path: found for path, found in space.ranges.items() if not _is_chosen(path)}
    return sum(
        prod(found.num_values for path, found in others.items() if presence.exists(path, trial))
        for trial in _chosen(space, max)
    )


def _chosen(space: Space, weight_of: Callable[[tuple[Any, ...]], Any]) -> Iterator[Values]:
    """All combinations of choices that other parameters depend on, with one weight per additional loss term."""
    further = {path: found for path, found in space.ranges.items() if path[:2] == ("loss", "also")}
    weights = {dotted(path): weight_of(found.corners()) for path, found in further.items()}
    choices = combinations({path: found for path, found in space.ranges.items() if _is_chosen(path)})
    return (weights | chosen for chosen in choices)


def choosing(space: Space) -> dict[KeyPath, Range]:
    """The ranges whose values other parameters depend on."""
    return {path: r for path, r in space.ranges.items() if _is_chosen(path) or path[:2] == ("loss", "also")}


def _is_chosen(path: KeyPath) -> bool:
    """Whether other parameters depend on the choice at a path; the weights of additional loss terms are apart."""
    return is_name(path) or path == USE


def end_of(space: Space, family: str, end: Literal[0, -1]) -> Values:
    """The values of a student of this family with every range at its first corner, or its last."""
    ranges = named(space.ranges_of(family))
    return {"student.family": family} | {name: found.corners()[end] for name, found in ranges.items()}


def edges_of(space: Space, family: str) -> Iterator[Values]:
    """All ranges at their first corner, all at their last, and each range in turn at its other corners."""
    first = end_of(space, family, 0)
    yield first
    yield end_of(space, family, -1)
    for name, found in named(space.ranges_of(family)).items():
        yield from (first | {name: corner} for corner in found.corners()[1:])
