"""The limits on a student, checked before it is trained: parameters, multiply-adds and latency.

A student's cost depends on its architecture alone, so it is counted once an architecture; counting happens on the meta
device and takes no memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import torch

from distill_tune.config import Config, Space, Values
from distill_tune.config.messages import dotted
from distill_tune.config.sections import LimitsConfig
from distill_tune.data import Dataset
from distill_tune.errors import ConfigError
from distill_tune.evaluation.latency import latency_ms
from distill_tune.students import Cost, Student, build_student, count_cost


class Limits:
    """What a student costs on this data, and by how much that is over the limits."""

    def __init__(self, config: LimitsConfig, dataset: Dataset):
        self._config, self._dataset = config, dataset
        self._count = lru_cache(maxsize=4096)(self._count_cost)
        self._time = lru_cache(maxsize=4096)(self._measure_latency_ms)

    def cost(self, config: Config) -> Cost:
        """Parameters and multiply-adds of the configured student."""
        return self._count(_Key(config))

    def latency_ms(self, config: Config) -> float:
        """Median time of one sample on one thread of this machine."""
        return self._time(_Key(config))

    def excess(self, config: Config) -> tuple[float, str]:
        """By what share the student breaks its worst limit, and that limit in words; (0, "") where it keeps all.

        Latency is measured, so it is looked at last: a student that is too large is not timed.
        """
        cost = self.cost(config)
        counted = [
            ("max_parameters", cost.parameters, self._config.max_parameters),
            ("max_multiply_adds", cost.multiply_adds, self._config.max_multiply_adds),
        ]
        worst = _worst(counted)
        if worst[0] <= 0 and self._config.max_latency_ms is not None:
            worst = _worst([("max_latency_ms", self.latency_ms(config), self._config.max_latency_ms)])
        return worst

    def _count_cost(self, key: _Key) -> Cost:
        return count_cost(key.family, self._dataset.input_shape, len(self._dataset.classes))

    def _measure_latency_ms(self, key: _Key) -> float:
        data = self._dataset
        with torch.random.fork_rng():
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


def _worst(used: Iterable[tuple[str, float, float | None]]) -> tuple[float, str]:
    over = [
        (value / limit - 1, f"{name} {limit:,g} ({value:,.6g})") for name, value, limit in used if limit is not None
    ]
    share, what = max(over, default=(0.0, ""))
    return (share, f"over {what}") if share > 0 else (0.0, "")


def smallest_student(space: Space, limits: Limits) -> Values:
    """The smallest student of a space by its sampled values; refuses limits that it cannot meet.

    It is looked for among the corners of the student's ranges: each range at either end (or at each of its choices)
    with all others at the end that made the student smallest so far.

    Raises:
        ConfigError: even the smallest student found is over a limit.
    """
    found = [_smallest(space, limits, family) for family in space.families]
    smallest = min(found, key=lambda values: _burden(limits, space.at(values)))
    config = space.at(smallest)
    excess, why = limits.excess(config)
    if excess > 0:
        cost = limits.cost(config)
        raise ConfigError(
            f"limits: no student of the space can meet them; the smallest found ({config.student.family}) has "
            f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds and is {why}; loosen the limits or "
            "widen the ranges."
        )
    return {name: value for name, value in smallest.items() if name in set(map(dotted, space.ranges))}


def _burden(limits: Limits, config: Config) -> tuple[bool, float, int]:
    """By what students are compared: within limits first, then by what they break, then by size."""
    excess, why = limits.excess(config)
    is_counted = excess > 0 and "latency" not in why  # else it has only been timed because its counts are within limits
    return is_counted, excess, limits.cost(config).parameters


def _smallest(space: Space, limits: Limits, family: str) -> Values:
    ranges = {dotted(path): found for path, found in space.ranges_of(family).items()}
    values = {"student.family": family} | {name: found.corners()[0] for name, found in ranges.items()}
    for name, found in ranges.items():
        options = [values | {name: corner} for corner in found.corners()]
        values = min(options, key=lambda option: _burden(limits, space.at(option)))
    return values
