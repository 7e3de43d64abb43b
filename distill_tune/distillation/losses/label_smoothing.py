"""No teacher, smoothed labels: what a teacher that knows only a sample's label would teach.

Szegedy et al., "Rethinking the Inception Architecture", CVPR 2016, https://arxiv.org/abs/1512.00567. As a baseline of
distillation: Yuan et al., "Revisiting Knowledge Distillation via Label Smoothing Regularization", CVPR 2020,
https://arxiv.org/abs/1909.11723
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from distill_tune.distillation.losses._base import Loss
from distill_tune.registry import LOSSES


@LOSSES.register
class LabelSmoothing(Loss):
    """(1 - smoothing) * CE(student, labels) + smoothing * CE(student, uniform).

    The same as `labels` with `optim.label_smoothing`, under a name that a list of losses can contain; if both are set,
    labels are smoothed twice, by 1 - (1 - one) * (1 - other).
    """

    uses_teacher: ClassVar[bool] = False
    over_lanes: ClassVar[bool] = True
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"smoothing": {"choice": [0.05, 0.1, 0.2]}}
    """Discrete values, since a grid takes no other ranges."""
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of a label's weight spread evenly over all classes."""

    @property
    def smoothing_of_labels(self) -> float:
        """`smoothing`."""
        return self.smoothing
