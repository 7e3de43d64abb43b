"""Logit standardization: soft targets of z-scores, so that the student need not match the teacher's range of logits.

Sun, Ren, Li, Wang, Cao, "Logit Standardization in Knowledge Distillation", CVPR 2024, https://arxiv.org/abs/2403.01427
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.config.numbers import Temperature
from distill_tune.distillation.losses._base import Loss
from distill_tune.distillation.losses.soft_targets import soft_target_loss
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_LEAST_DEVIATION = 1e-4
"""Logits with a smaller deviation count as equal, since the gradient grows with its inverse."""


def standardized(logits: Tensor) -> Tensor:
    """Each sample's logits, [batch, classes], minus their mean and divided by their standard deviation."""
    deviation = logits.std(-1, correction=0, keepdim=True)
    return (logits - logits.mean(-1, keepdim=True)) / deviation.clamp_min(_LEAST_DEVIATION)


@LOSSES.register
class LogitStandardization(Loss):
    """tau^2 * KL(teacher || student) of softmax(z / tau), where z = (logits - mean) / deviation per sample.

    Each sample's temperature is tau times the deviation of its logits; `loss.temperature` would cancel out.
    """

    uses_temperature: ClassVar[bool] = False
    over_lanes: ClassVar[bool] = True
    fewest_classes: ClassVar[int] = 3  # the z-scores of any two numbers are 1 and -1
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"base_temperature": {"log": [1.0, 6.0]}}
    base_temperature: Temperature = 2.0
    """tau: z-scores have deviation 1 for any network, so good values lie near 2 (the paper's)."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """See the class; `temperature` is not used."""
        return soft_target_loss(standardized(student_logits), standardized(teacher_logits), self.base_temperature)
