"""The limits on a student, checked before it is trained: parameters, multiply-adds and latency.

A student's cost depends on its architecture alone, so it is counted once an architecture; counting happens on the meta
device and takes no memory.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from distill_tune.config import Config, Space
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

    def excess(self, config: Config) -> float:
        """By what share the student breaks the worst of its limits; 0 where it keeps them all."""
        cost = self.cost(config)
        shares = [
            used / limit - 1
            for used, limit in (
                (cost.parameters, self._config.max_parameters),
                (cost.multiply_adds, self._config.max_multiply_adds),
            )
            if limit is not None
        ]
        if self._config.max_latency_ms is not None and max(shares, default=0) <= 0:
            shares.append(self.latency_ms(config) / self._config.max_latency_ms - 1)
        return max(0.0, *shares, 0.0)

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


def check_some_student_fits(space: Space, limits: Limits) -> None:
    """Refuse limits that no student of the space can meet.

    The smallest student is looked for among the corners of the student's ranges: each range at either end (or at each
    of its choices) with all others at the end that made the student smallest so far.

    Raises:
        ConfigError: even the smallest student found is over a limit.
    """
    smallest = min((_smallest(space, limits, family) for family in _families(space)), key=limits.excess)
    if limits.excess(smallest) > 0:
        cost = limits.cost(smallest)
        raise ConfigError(
            f"limits: no student of the space can meet them; the smallest found ({smallest.student.family}) has "
            f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds; loosen the limits or widen the "
            "ranges."
        )


def _families(space: Space) -> list[str]:
    found = space.ranges.get(("student", "family"))
    return [space.config.student.family] if found is None else list(found.corners())


def _smallest(space: Space, limits: Limits, family: str) -> Config:
    ranges = {p: r for p, r in space.ranges.items() if p[0] == "student" and p[1] == family}
    values = {"student.family": family} | {dotted(p): r.corners()[0] for p, r in ranges.items()}
    for path, found in ranges.items():
        options = [values | {dotted(path): corner} for corner in found.corners()]
        values = min(options, key=lambda option: limits.excess(space.at(option)))
    return space.at(values)
