"""Checks of `search.start_with`: names and values must be those of ranges, and warnings tell of what may be dropped.

A value is dropped if the trial chooses a family or a loss that lacks the parameter, yet the trial counts as the one
that was given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from distill_tune.config import Space, Values
from distill_tune.config.corners import choosing, of_every_trial, of_some_trial
from distill_tune.config.leaves import KeyPath, named
from distill_tune.config.messages import dotted, shown
from distill_tune.config.ranges import Interval
from distill_tune.errors import ConfigError


def check_start_with(space: Space) -> None:
    """Refuse settings with names or values that are not in the space.

    Raises:
        ConfigError: one is not; with the way to write it, if it is a table of its own.
    """
    for number, values in _given(space):
        if nested := [name for name, value in values.items() if isinstance(value, dict)]:
            raise ConfigError(
                f"search.start_with[{number}]: must have whole names in quotes, but {nested[0]!r} is a table; write "
                f"{_written(dict(_flat(values)))}."
            )
        try:
            space.as_optuna(values)
        except ConfigError as error:
            raise ConfigError(f"search.start_with[{number}]: {error}") from error


def what_may_be_dropped(space: Space) -> Iterator[str]:
    """Warnings of values that no trial with these settings has, or only those that choose what they leave open."""
    for number, values in _given(space):
        some, every = of_some_trial(space, values), of_every_trial(space, _surely(space) | values)
        for path in (path for path in space.ranges if dotted(path) in values and path not in every):
            why = _left_open(space, path, values) if path in some else _why_not(space, path, values)
            yield f"search.start_with[{number}]: {dotted(path)!r} {why}"


def _given(space: Space) -> Iterator[tuple[int, Values]]:
    start_with = space.config.search.start_with
    return enumerate(start_with if start_with != "middle" else [])


def _flat(values: dict[str, Any], outer: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a table with tables in it."""
    for name, value in values.items():
        whole = f"{outer}.{dotted((name,))}" if outer else name
        if isinstance(value, dict):
            yield from _flat(value, whole)
        else:
            yield whole, value


def _written(values: Values) -> str:
    """The values as a table of `search.start_with` has them, whatever their number."""
    return ", ".join(f"{json.dumps(name, ensure_ascii=False)} = {shown(value)}" for name, value in values.items())


def _surely(space: Space) -> Values:
    """Weights of additional terms of the loss that are drawn from an interval, and so are never exactly 0."""
    return {dotted(each): r.high for each, r in choosing(space).items() if isinstance(r, Interval) and not r.integer}


def _why_not(space: Space, path: KeyPath, values: Values) -> str:
    """Why no trial with these values has the parameter at `path`."""
    if path not in of_some_trial(space):
        return "exists in no trial of this space; leave it out"
    chosen = {name: values[name] for name in named(choosing(space)) if name in values}
    others = {name: {each: one for each, one in values.items() if each != name} for name in chosen}
    guilty = [name for name in chosen if path in of_some_trial(space, others[name])]
    at = " and ".join(f"{name} = {shown(chosen[name])}" for name in guilty or chosen)
    return f"does not exist with {at}; leave one of them out"


def _left_open(space: Space, path: KeyPath, values: Values) -> str:
    """What to add to these values, so that every trial with them has the parameter at `path`."""
    missing = _missing(space, path, values)
    return (
        f"depends on {' and '.join(missing)}, which this table leaves open; add {_written(missing)}, or a trial that "
        "chooses otherwise drops it"
    )


def _missing(space: Space, path: KeyPath, values: Values) -> Values:
    """One value, if one is enough; else one of each choice that can leave the parameter at `path` out."""
    values = _surely(space) | values
    left = {name: found.corners() for name, found in named(choosing(space)).items() if name not in values}
    single = ({name: one} for name, corners in left.items() for one in corners)
    if enough := next((one for one in single if path in of_every_trial(space, values | one)), None):
        return enough
    missing = Values()
    for name, corners in left.items():
        able = [one for one in corners if path in of_some_trial(space, values | missing | {name: one})]
        missing |= {name: able[0]} if len(able) < len(corners) else {}
    return missing
