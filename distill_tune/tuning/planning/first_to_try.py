"""What a search tries first: each student family in the middle of all ranges, then each other name once.

The middle with the largest student within the limits is an early result, and mostly a good one. Each other loss,
optimizer, initialisation, activation or mix of teachers gets one trial there too: a sampler judges a name by the few
trials that drew it at random, and if these had a bad learning rate, it stays with the names that it began with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from distill_tune.config import Space, Values
from distill_tune.config.leaves import FAMILY, KeyPath
from distill_tune.config.messages import dotted
from distill_tune.errors import ConfigError
from distill_tune.tuning.planning.limits import Limits

Shares = Mapping[KeyPath, float]
"""How far up from its low end each range of a student is set, from 0 to 1."""
Chosen = Mapping[KeyPath, Any]
"""Values of keys that are choices, if not the first."""


def first_to_try(space: Space, limits: Limits) -> list[Values]:
    """The middle of every range for each student family, then, with the first such family, for each other name.

    Each student is the largest that the limits allow, also with a name that makes it larger. A family may have none,
    since its students need not grow from one end of a range to the other.
    """
    largest = {family: largest_within(space, limits, {FAMILY: family}) for family in space.families}
    students = {family: shares for family, shares in largest.items() if shares is not None}
    tried = [space.middle(shares, {FAMILY: family}) for family, shares in students.items()]
    if not students:
        return tried
    family, shares = next(iter(students.items()))
    for path, name in space.others:
        chosen = {FAMILY: family, path: name}
        if path != FAMILY and dotted(path) in space.middle(shares, chosen):  # else it belongs to another family or loss
            fitting = shares if _fits(space, limits, chosen, shares) else largest_within(space, limits, chosen)
            tried.append(space.middle(fitting or shares, chosen))
    return tried


def largest_within(space: Space, limits: Limits, chosen: Chosen) -> Shares | None:
    """How far up a student's ranges go within the limits: all together, in eighths, then each in the order written.

    None if no such student with what is `chosen` (at least its family) is within the limits.
    """
    most = {path: _most(space, limits, chosen, path) for path in space.ranges_of(chosen[FAMILY])}
    fits = partial(_fits, space, limits, chosen)
    highest = max(most.values(), default=0)
    together = ({path: min(eighths, most[path]) / 8 for path in most} for eighths in range(highest, -1, -1))
    shares = next(filter(fits, together), None)
    if shares is None:
        return None
    for path in most:
        further = (shares | {path: eighths / 8} for eighths in range(most[path], -1, -1))
        shares = next(filter(fits, further))  # its current share is one of them
    return shares


def _fits(space: Space, limits: Limits, chosen: Chosen, shares: Shares) -> bool:
    with suppress(ConfigError):  # a custom network cannot be built this way
        return limits.excess(space.at(space.middle(shares, chosen))).share <= 0
    return False


def _most(space: Space, limits: Limits, chosen: Chosen, path: KeyPath) -> int:
    """How many eighths up a range may be set.

    No further than its middle if nothing limits a student, if there are several objectives (small students may be
    one), or if a student costs the same all along the range: dropout, for one, changes no size.
    """
    if not limits.are_any or len(space.config.search.objectives) > 1:
        return 4
    students = (space.middle({path: share}, chosen) for share in (0.0, 0.5, 1.0))
    with suppress(ConfigError):
        return 8 if len({limits.cost(space.at(values)) for values in students}) > 1 else 4
    return 8


def start_with_over_limits(space: Space, limits: Limits) -> Iterator[str]:
    """A line for each setting of `start_with` that specifies its student fully, but one over the limits."""
    start_with = space.config.search.start_with
    for number, values in enumerate(start_with if start_with != "middle" and limits.are_any else []):
        told = {path: values[dotted(path)] for path in space.ranges if dotted(path) in values}
        family = told.get(FAMILY, space.families[0])
        of_student = {*space.ranges_of(family), *({FAMILY} & space.ranges.keys())}
        why = ""
        if of_student <= told.keys():
            with suppress(ConfigError):  # a custom network cannot be built this way
                why = limits.excess(space.at(space.middle(chosen=told))).why
        if why:
            yield f"search.start_with[{number}]: its student is {why} and not trained; make it smaller, or leave it out"
