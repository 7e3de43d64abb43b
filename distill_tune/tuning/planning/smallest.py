"""The smallest student of a space, which must be within the limits, and the families that have none within them."""

from __future__ import annotations

import math
from collections.abc import Iterator

from distill_tune.config import Space, Values
from distill_tune.config.corners import end_of
from distill_tune.config.leaves import named
from distill_tune.errors import ConfigError
from distill_tune.tuning.planning.limits import Limits


def smallest_student(space: Space, limits: Limits) -> Values:
    """The sampled values of the smallest student of a space; limits that it cannot meet are refused.

    It is searched for among the corners of the student's ranges: each range in turn at either end (or at each of its
    choices), with all others at the value that made the student smallest so far.

    Raises:
        ConfigError: even the smallest student found is over a limit, or one of a family cannot be built.
    """
    found = [smallest_of(space, limits, family) for family in space.families]
    for values in found:
        limits.excess(space.at(values))  # raises if not even this student of a family can be built
    smallest = min(found, key=lambda values: _burden(limits, space, values))
    config = space.at(smallest)
    excess = limits.excess(config)
    if excess.share > 0:
        cost = limits.cost(config)
        raise ConfigError(
            f"limits: no student of the space can meet them; the smallest found ({config.student.family}) has "
            f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds and is {excess.why}; loosen the "
            "limits or widen the ranges."
        )
    ranges = named(space.ranges)
    return {name: value for name, value in smallest.items() if name in ranges}


def _burden(limits: Limits, space: Space, values: Values) -> tuple[bool, float, int]:
    """Sort key of students: first those that exceed no count, latency aside; then by excess; then by parameters.

    A student that cannot be configured or built, as a custom one at some corner, is worst.
    """
    try:
        config = space.at(values)
        excess = limits.excess(config)
    except ConfigError:
        return True, math.inf, 0
    breaks_counts = excess.limit not in ("", "max_latency_ms")
    return breaks_counts, excess.share, limits.cost(config).parameters


def families_never_trained(space: Space, limits: Limits) -> Iterator[str]:
    """A line for each family without a student within the limits, in a space whose other families have some."""
    for family in space.families if limits.are_any else []:
        excess = limits.excess(space.at(smallest_of(space, limits, family)))
        if excess.share > 0:
            yield (
                f"student.family: {family!r} is never trained, for the smallest student found of it is {excess.why}; "
                "loosen the limit, widen its ranges, or leave it out"
            )


def smallest_of(space: Space, limits: Limits, family: str) -> Values:
    """The sampled values of the smallest student of a family, which may be over the limits."""
    values = end_of(space, family, 0)
    for name, found in named(space.ranges_of(family)).items():
        options = [values | {name: corner} for corner in found.corners()]
        values = min(options, key=lambda option: _burden(limits, space, option))
    return values
