"""Keep the student's weights in a ball: ||student||_2 <= norm_ratio * ||teacher||_2, over all weights together.

A projection after each optimizer step: weights outside of the ball are scaled by one factor to its nearest point.
Weights that a user-defined student freezes count towards the norm, and the others get what is left.
Weight norms as a measure of capacity: Bartlett 1998 (https://doi.org/10.1109/18.661502).
"""

from __future__ import annotations

import math

import torch
from torch import nn

from distill_tune.config import Config
from distill_tune.distillation.cache.weights import TeacherWeights
from distill_tune.errors import TrainingError

_SLACK = 1e-6
"""The projection's relative margin below the limit, so that rounding does not leave the weights above it."""


class NormLimit:
    """A projection to call after each step; does nothing without a limit."""

    def __init__(self, module: nn.Module, limit: float | None):
        """Limit the joint Euclidean norm of `module`'s parameters to `limit`; they are projected at once.

        Raises:
            TrainingError: the norm of the frozen parameters alone is not below the limit.
        """
        self._parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        self._limit = None if limit is None else _left_of(limit, module)
        self()

    @property
    def is_free(self) -> bool:
        """Whether there is no limit."""
        return self._limit is None

    def __call__(self) -> None:
        """Scale the weights back if they are outside, without waiting for the device."""
        if self._limit is not None:
            self._project(self._limit)

    @torch.no_grad()
    def _project(self, limit: float) -> None:
        norm = nn.utils.get_total_norm(self._parameters)
        factor = torch.where(norm > limit, limit * (1 - _SLACK) / norm, torch.ones_like(norm))
        for parameter in self._parameters:
            parameter.mul_(factor)


def _left_of(limit: float, module: nn.Module) -> float:
    """The limit that remains for the parameters that are trained."""
    frozen = [parameter for parameter in module.parameters() if not parameter.requires_grad]
    norm = float(nn.utils.get_total_norm(frozen)) if frozen else 0.0
    if norm >= limit:
        raise TrainingError(
            f"regularization.norm_ratio: the student's frozen weights alone have a norm of {norm:.4g}, and the limit "
            f"is {limit:.4g}; raise it."
        )
    return math.sqrt(limit**2 - norm**2)


def norm_limit(config: Config, teacher: TeacherWeights | None) -> float | None:
    """The configured limit in the units of the weights; None if there is none.

    Raises:
        CacheError: the teacher's weights are missing or damaged.
    """
    ratio = config.regularization.norm_ratio
    if ratio is None:
        return None
    assert teacher is not None, "prepared for a space that needs them"
    return ratio * teacher.norm
