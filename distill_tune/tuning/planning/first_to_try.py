"""What a search tries first: each student family in the middle of all ranges, then each other name once.

The middle with the largest student within the limits is an early answer, and mostly a good one. Each other loss,
optimizer, initialisation, activation or mix of teachers has one trial there too: a sampler learns what a name is worth
from the few trials that drew it at random, and if these had a bad learning rate, it stays with the names that it began
with.
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
"""How far from its low end each range of a student stands."""
Chosen = Mapping[KeyPath, Any]
"""What stands at the keys that choose, where it is not the first."""


def first_to_try(space: Space, limits: Limits) -> list[Values]:
    """The middle of every range for each student family, then with the first of these for each other name.

    A student is the largest that the limits allow. A family may have none, since its ranges need not grow from one end
    to the other. With a name that makes a student larger, it is again the largest.
    """
    largest = {family: largest_within(space, limits, {FAMILY: family}) for family in space.families}
    students = {family: shares for family, shares in largest.items() if shares is not None}
    tried = [space.middle(shares, {FAMILY: family}) for family, shares in students.items()]
    if not students:
        return tried
    family, shares = next(iter(students.items()))
    for path, name in space.others:
        chosen = {FAMILY: family, path: name}
        if path != FAMILY and dotted(path) in space.middle(shares, chosen):  # else of a family or loss that it has not
            fitting = shares if _fits(space, limits, chosen, shares) else largest_within(space, limits, chosen)
            tried.append(space.middle(fitting or shares, chosen))
    return tried


def largest_within(space: Space, limits: Limits, chosen: Chosen) -> Shares | None:
    """How far up a student's ranges go within the limits: all of them, in eighths, then each as it is written.

    None where no student with what is `chosen`, its family at least, is within them so.
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
        shares = next(filter(fits, further))  # where it stands already is one of them
    return shares


def _fits(space: Space, limits: Limits, chosen: Chosen, shares: Shares) -> bool:
    with suppress(ConfigError):  # of a user's own network, that cannot be built so
        return limits.excess(space.at(space.middle(shares, chosen))).share <= 0
    return False


def _most(space: Space, limits: Limits, chosen: Chosen, path: KeyPath) -> int:
    """How many eighths up a range may stand.

    No further than its middle where nothing limits a student, where small ones are an objective, or where a student
    costs the same all along the range: with the highest dropout it is no larger than with another.
    """
    if not limits.are_any or len(space.config.search.objectives) > 1:
        return 4
    students = (space.middle({path: share}, chosen) for share in (0.0, 0.5, 1.0))
    with suppress(ConfigError):
        return 8 if len({limits.cost(space.at(values)) for values in students}) > 1 else 4
    return 8


def known_good_over_limits(space: Space, limits: Limits) -> Iterator[str]:
    """A line for each setting of `start_with` whose student is too large to be trained, as far as it says all of it."""
    start_with = space.config.search.start_with
    for number, values in enumerate(start_with if start_with != "middle" and limits.are_any else []):
        told = {path: values[dotted(path)] for path in space.ranges if dotted(path) in values}
        family = told.get(FAMILY, space.families[0])
        of_student = {*space.ranges_of(family), *({FAMILY} & space.ranges.keys())}
        why = ""
        if of_student <= told.keys():
            with suppress(ConfigError):  # of a user's own network, that cannot be built so
                why = limits.excess(space.at(space.middle(chosen=told))).why
        if why:
            yield f"search.start_with[{number}]: its student is {why} and not trained; make it smaller, or leave it out"
