"""No teacher: cross-entropy with the labels alone, the baseline that every distillation must beat."""

from typing import ClassVar

from distill_tune.distillation.losses._base import Loss
from distill_tune.registry import LOSSES


@LOSSES.register
class Labels(Loss):
    """Only the labels' term; `soft_weight` counts as 0."""

    uses_teacher: ClassVar[bool] = False
    over_lanes: ClassVar[bool] = True
