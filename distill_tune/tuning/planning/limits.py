"""The limits on a student, checked before it is trained: parameters, multiply-adds and latency.

A student's cost depends only on its architecture, so it is counted once per architecture, on a temporary network
(`students/_cost.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

import torch

from distill_tune.config import Config, Space
from distill_tune.config.searching import LimitsConfig
from distill_tune.data import Dataset
from distill_tune.evaluation.latency import latency_ms
from distill_tune.students import Cost, Student, count_cost, student_on
from distill_tune.tuning.state.records import TrialRecord

_FURTHER_TIMES = 2
"""How often a student that was too slow at first is timed again."""


class Excess(NamedTuple):
    """By how much a student exceeds a limit."""

    share: float
    """The excess as a share of the limit; 0 if all are met."""
    limit: str
    """The limit's key."""
    why: str
    """The excess in words."""


NO_EXCESS = Excess(0.0, "", "")


class Limits:
    """The cost of students on this data, and by how much it exceeds the limits."""

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
        """Median latency of one sample on one thread of this machine."""
        key = _Key(config)
        if key not in self._times_ms:
            self._times_ms[key] = self._least_latency_ms(key)
        return self._times_ms[key]

    def know_latencies(self, space: Space, records: Iterable[TrialRecord]) -> None:
        """Take over what earlier sessions have measured, so that all trials of an architecture share one latency."""
        for record in records:
            if record.latency_ms is not None:
                self._times_ms[_Key(space.at(record.values))] = record.latency_ms

    def excess(self, config: Config) -> Excess:
        """The limit that the student exceeds most; a student that is too large is not timed."""
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

    def _least_latency_ms(self, key: _Key) -> float:
        """The least of several timings if the first is over the limit: the machine may be busy, if only with trials."""
        limit, found = self._config.max_latency_ms, self._measure_latency_ms(key)
        for _ in range(_FURTHER_TIMES):
            if limit is None or found <= limit:
                break
            found = min(found, self._measure_latency_ms(key))
        return found

    def _measure_latency_ms(self, key: _Key) -> float:
        with torch.random.fork_rng(devices=[]):
            student = student_on(key.family, self._dataset)
        return latency_ms(student, self._dataset.input_shape, self._dataset.is_image)


class _Key:
    """A configured student as a dictionary key: equal if family and options are."""

    def __init__(self, config: Config):
        self.family = Student.of(config.student)
        self._text = f"{config.student.family} {self.family!r}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)


def _shown(number: float) -> str:
    """A number for display; integers in full, since rounding could make two close ones look equal."""
    return f"{number:,}" if isinstance(number, int) else f"{number:,.6g}"


def _over(limit: float, value: float) -> str:
    """A value above a limit: a time to three digits, or as many as tell it from the limit."""
    if isinstance(value, int):
        return _shown(value)
    told = (_rounded(value, digits) for digits in (3, 6, 17))
    return next(each for each in told if float(each.replace(",", "")) > limit) + " ms"


def _rounded(value: float, digits: int) -> str:
    """A time to so many digits, in full from a second on, which `g` would write with an exponent."""
    if value < 999.5:
        return f"{value:.{digits}g}"
    return f"{value:,.{max(0, digits - len(str(int(value))))}f}"


def _worst(*used: tuple[str, float, float | None]) -> Excess:
    over = [
        Excess(value / limit - 1, name, f"over {name} {_shown(limit)} ({_over(limit, value)})")
        for name, value, limit in used
        if limit is not None and value > limit
    ]
    return max(over, default=NO_EXCESS)
