"""The limits on a student, checked before it is trained: parameters, multiply-adds and latency.

A student's cost depends on its architecture alone, so it is counted once an architecture; counting happens on the meta
device and takes no memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

import torch

from distill_tune.config import Config, Space, Values
from distill_tune.config.leaves import Path
from distill_tune.config.messages import dotted
from distill_tune.config.searching import LimitsConfig
from distill_tune.data import Dataset
from distill_tune.errors import ConfigError
from distill_tune.evaluation.latency import latency_ms
from distill_tune.students import Cost, Student, build_student, count_cost


class Excess(NamedTuple):
    """By how much a student breaks a limit."""

    share: float
    """Of the limit; 0 where all are kept."""
    limit: str
    """The limit's key."""
    why: str
    """In words."""


NO_EXCESS = Excess(0.0, "", "")


class Limits:
    """What a student costs on this data, and by how much that is over the limits."""

    def __init__(self, config: LimitsConfig, dataset: Dataset):
        self._config, self._dataset = config, dataset
        self._count = lru_cache(maxsize=4096)(self._count_cost)
        self._times_ms: dict[_Key, float] = {}

    @property
    def are_any(self) -> bool:
        """Whether anything is limited."""
        return any(limit is not None for limit in self._config.model_dump().values())

    def cost(self, config: Config) -> Cost:
        """Parameters and multiply-adds of the configured student."""
        return self._count(_Key(config))

    def latency_ms(self, config: Config) -> float:
        """Median time of one sample on one thread of this machine."""
        key = _Key(config)
        if key not in self._times_ms:
            self._times_ms[key] = self._measure_latency_ms(key)
        return self._times_ms[key]

    def know_latency(self, config: Config, ms: float) -> None:
        """What an earlier sitting has measured, so that all trials of one architecture go on to have one latency."""
        self._times_ms[_Key(config)] = ms

    def excess(self, config: Config) -> Excess:
        """What the student breaks most. A student that is too large is not timed."""
        cost = self.cost(config)
        counted = _worst(
            ("max_parameters", cost.parameters, self._config.max_parameters),
            ("max_multiply_adds", cost.multiply_adds, self._config.max_multiply_adds),
        )
        if counted.share > 0 or self._config.max_latency_ms is None:
            return counted
        return _worst(("max_latency_ms", self.latency_ms(config), self._config.max_latency_ms))

    def _count_cost(self, key: _Key) -> Cost:
        return count_cost(key.family, self._dataset.input_shape, len(self._dataset.classes))

    def _measure_latency_ms(self, key: _Key) -> float:
        data = self._dataset
        with torch.random.fork_rng(devices=[]):
            student = build_student(key.family, data.input_shape, len(data.classes), data.mean, data.std)
        return latency_ms(student, data.input_shape, data.is_image)


class _Key:
    """A configured student as a dictionary key: equal where its family and options are."""

    def __init__(self, config: Config):
        self.family: Student = config.student.chosen("family")
        self._text = f"{config.student.family} {self.family!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def _worst(*used: tuple[str, float, float | None]) -> Excess:
    over = [
        Excess(value / limit - 1, name, f"over {name} {limit:,g} ({value:,.6g})")
        for name, value, limit in used
        if limit is not None and value > limit
    ]
    return max(over, default=NO_EXCESS)


def smallest_student(space: Space, limits: Limits) -> Values:
    """The smallest student of a space by its sampled values; refuses limits that it cannot meet.

    It is looked for among the corners of the student's ranges: each range at either end (or at each of its choices)
    with all others at the end that made the student smallest so far.

    Raises:
        ConfigError: even the smallest student found is over a limit, or one of a family cannot be built.
    """
    found = [_smallest(space, limits, family) for family in space.families]
    for values in found:
        limits.excess(space.at(values))  # refuses a family of which not even this one can be built
    smallest = min(found, key=lambda values: _burden(limits, space.at(values)))
    config = space.at(smallest)
    excess = limits.excess(config)
    if excess.share > 0:
        cost = limits.cost(config)
        raise ConfigError(
            f"limits: no student of the space can meet them; the smallest found ({config.student.family}) has "
            f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds and is {excess.why}; loosen the "
            "limits or widen the ranges."
        )
    return {name: value for name, value in smallest.items() if name in set(map(dotted, space.ranges))}


def middle_students(space: Space, limits: Limits) -> list[Values]:
    """The middle of every range for each student family, with its largest student that the limits allow.

    Such a one is mostly the best that they do. All of its ranges are as far up as that goes, in eighths, and then each
    in the order in which they are written; no further than the middle where nothing limits it, or where small students
    are an objective. A family may have none, since its ranges need not grow from one end to the other.
    """
    found = (_middle_student(space, limits, family) for family in space.families)
    return [values for values in found if values is not None]


def _middle_student(space: Space, limits: Limits, family: str) -> Values | None:
    paths = list(space.ranges_of(family))
    most = 8 if limits.are_any and len(space.config.search.objectives) == 1 else 4

    def fits(shares: Mapping[Path, float]) -> bool:
        with suppress(ConfigError):  # of a user's own network, that cannot be built so
            return limits.excess(space.at(space.middle(shares, family))).share <= 0
        return False

    together = ({path: eighths / 8 for path in paths} for eighths in range(most, -1, -1))
    shares = next(filter(fits, together), None)
    if shares is None:
        return None
    for path in paths:
        further = (shares | {path: eighths / 8} for eighths in range(most, -1, -1))
        shares = next(filter(fits, further))  # where it stands already is one of them
    return space.middle(shares, family)


def _burden(limits: Limits, config: Config) -> tuple[bool, float, int]:
    """By what students are compared: what breaks latency alone keeps the counts, so it comes first; then by size.

    Worst is one that cannot be built, as a user's own may be at some corner.
    """
    try:
        excess = limits.excess(config)
    except ConfigError:
        return True, math.inf, 0
    breaks_counts = excess.limit not in ("", "max_latency_ms")
    return breaks_counts, excess.share, limits.cost(config).parameters


def _smallest(space: Space, limits: Limits, family: str) -> Values:
    ranges = {dotted(path): found for path, found in space.ranges_of(family).items()}
    values = {"student.family": family} | {name: found.corners()[0] for name, found in ranges.items()}
    for name, found in ranges.items():
        options = [values | {name: corner} for corner in found.corners()]
        values = min(options, key=lambda option: _burden(limits, space.at(option)))
    return values
