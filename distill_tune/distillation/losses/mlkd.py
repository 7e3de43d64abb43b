"""Multi-level logit distillation: soft targets, and similarities of samples and of classes, at several temperatures.

Jin, Wang, Lin, "Multi-Level Logit Distillation", CVPR 2023,
https://openaccess.thecvf.com/content/CVPR2023/html/Jin_Multi-Level_Logit_Distillation_CVPR_2023_paper.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.config.numbers import Temperature
from distill_tune.distillation.losses._base import Loss, Weight
from distill_tune.distillation.losses.soft_targets import soft_target_loss
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_PAPERS_BATCH = 64
"""The paper sums over its batch of 64; means multiplied by that make its weights valid for any batch size."""


def batch_level_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """64 * the mean over all pairs of samples of (<p_i, p_j> of the student minus that of the teacher)^2.

    Both inputs are probabilities, [batch, classes]. This is the paper's ||P P' - Q Q'||^2 / B at B = 64.
    """
    return (student @ student.mT - teacher @ teacher.mT).square().mean((-2, -1)) * _PAPERS_BATCH


def class_level_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """64^2 / classes * the sum over pairs of classes of (mean of p_k p_l of the student minus that of the teacher)^2.

    Both inputs are probabilities, [batch, classes]. This is the paper's ||P' P - Q' Q||^2 / classes at B = 64.
    """
    batch, classes = student.shape[-2:]
    difference = (student.mT @ student - teacher.mT @ teacher) / batch
    return difference.square().sum((-2, -1)) * (_PAPERS_BATCH**2 / classes)


@LOSSES.register
class Mlkd(Loss):
    """Weighted sum of T^2 * KL per sample, `batch_level_loss` and `class_level_loss`, averaged over `temperatures`.

    The paper's two augmentations per image and its mask of unsure samples are omitted: views are drawn by
    `[augmentation]`. With several workers, each compares the samples of its own part of the batch.
    """

    uses_temperature: ClassVar[bool] = False
    over_lanes: ClassVar[bool] = True
    compares_samples: ClassVar[bool] = True
    weights: ClassVar[tuple[str, ...]] = ("instance_weight", "batch_weight", "class_weight")
    naming_weights: ClassVar[tuple[str, ...]] = ("instance_weight",)  # the others compare only pairs and means
    decisive_options: ClassVar[tuple[str, ...]] = naming_weights
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {
        "temperatures": {"choice": [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0, 6.0]]},
        "class_weight": {"log": [0.01, 1.0]},
    }
    temperatures: list[Temperature] = Field([2.0, 3.0, 4.0, 5.0, 6.0], min_length=1, max_length=16)
    """Used all at once, in place of `loss.temperature`."""
    instance_weight: Weight = 1.0
    batch_weight: Weight = 1.0
    class_weight: Weight = 0.1
    """The paper, which trains twice as long as others, uses 1; that outweighs the labels in a short training."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """See the class; `temperature` is not used."""
        levels = [self._at(student_logits, teacher_logits, each) for each in self.temperatures]
        return sum(levels[1:], levels[0]) / len(levels)

    def _at(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        student, teacher = (student_logits / temperature).softmax(-1), (teacher_logits / temperature).softmax(-1)
        return (
            self.instance_weight * soft_target_loss(student_logits, teacher_logits, temperature)
            + self.batch_weight * batch_level_loss(student, teacher)
            + self.class_weight * class_level_loss(student, teacher)
        )
