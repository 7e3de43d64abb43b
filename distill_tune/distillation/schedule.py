"""Schedules: the learning rate, and the loss's temperature and weight, at each step of a run.

They are functions of the step alone, so a resumed training continues as if it had not been interrupted.

one_cycle: Smith, Topin, "Super-Convergence", 2018, https://arxiv.org/abs/1708.07120. cosine: Loshchilov, Hutter,
"SGDR", 2017, https://arxiv.org/abs/1608.03983 (without restarts).
"""

from math import cos, pi
from typing import Any, Protocol

from distill_tune.config.optim import OptimConfig

_WARM_UP_SHARE = 0.3
_STEP_AT = (0.6, 0.8)


def learning_rate(optim: OptimConfig, step: int, total_steps: int) -> float:
    """The learning rate at `step` (0-based) of `total_steps`."""
    return optim.learning_rate * rate_share(optim.schedule, step, total_steps)


class HasGroups(Protocol):
    """An optimizer, as `Rates` sees it."""

    param_groups: list[dict[str, Any]]


class Rates:
    """Learning rates of an optimizer's parameter groups: each group's initial rate times the schedule's factor."""

    def __init__(self, optimizer: HasGroups, optim: OptimConfig, total_steps: int):
        self._optimizer, self._optim, self._total_steps = optimizer, optim, total_steps
        rates = (group.get("lr") for group in optimizer.param_groups)  # None if the optimizer sets its own rate
        self._built_with = [optim.learning_rate if rate is None else float(rate) for rate in rates]
        self.now = 0.0
        """The scheduled learning rate at the step that was set last."""

    def set(self, step: int) -> None:
        """Set the rates of `step` (0-based)."""
        self.now = learning_rate(self._optim, step, self._total_steps)
        share = rate_share(self._optim.schedule, step, self._total_steps)
        groups = self._optimizer.param_groups  # read anew: loading a checkpoint replaces the groups
        for group, rate in zip(groups, self._built_with, strict=True):
            group["lr"] = rate * share


def progress_at(step: int, total_steps: int) -> float:
    """How far a training is in `step` (0-based): 0 in its first step, 1 in its last."""
    return step / max(1, total_steps - 1)


def rate_share(schedule: str, step: int, total_steps: int) -> float:
    """The factor on `optim.learning_rate` at `step` (0-based) of `total_steps`: in (0, 1]."""
    progress = step / max(1, total_steps)
    if schedule == "constant":
        return 1.0
    if schedule == "step":
        return float(0.1 ** sum(progress >= at for at in _STEP_AT))
    if schedule == "one_cycle":
        if progress < _WARM_UP_SHARE:
            return 0.04 + 0.96 * _half_wave(1 - progress / _WARM_UP_SHARE)
        return max(1e-4, _half_wave((progress - _WARM_UP_SHARE) / (1 - _WARM_UP_SHARE)))
    return _half_wave(progress)


def between(start: float, end: float | None, schedule: str, progress: float) -> float:
    """The value at `progress` (0 in the first step, 1 in the last) between `start` and `end`; `start` if `end` is None.

    A changing temperature is a curriculum: Li et al., "Curriculum Temperature for Knowledge Distillation", AAAI 2023,
    https://arxiv.org/abs/2211.16231, which learns it instead of setting it.
    """
    if end is None:
        return start
    share = 1 - _half_wave(progress) if schedule == "cosine" else progress
    return (1 - share) * start + share * end


def _half_wave(progress: float) -> float:
    return 0.5 * (1 + cos(pi * progress))
