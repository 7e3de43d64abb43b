"""Similarity preserving: samples that are similar to the teacher should be similar to the student.

Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, https://arxiv.org/abs/1907.09682
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from distill_tune.distillation.losses._base import Weight
from distill_tune.distillation.losses._features import TIMES_ON_FEATURES, FeatureLoss
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-8


def similarities(rows: Tensor) -> Tensor:
    """[batch, batch]: dot products of all pairs of samples' logits or features, each row divided by its length."""
    products = rows.flatten(1) @ rows.flatten(1).mT
    lengths: Tensor = products.norm(dim=1, keepdim=True)
    return products / lengths.clamp_min(_TINY)


def sp_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """||G_student - G_teacher||^2 / batch, where G are the `similarities`: between 0 and 4.

    The paper divides by batch^2, which makes the term depend on the batch size.
    """
    return (similarities(student) - similarities(teacher)).square().sum() / len(student)


@LOSSES.register
class Sp(FeatureLoss):
    """scale * `sp_loss` of logits or features.

    The paper uses features, which leave the last layer free; on features the weight counts a hundredfold: 10 by
    default, while the paper's 3000 / batch is 23 at a batch size of 128. With several workers, each compares the
    samples of its own part.
    """

    compares_samples: ClassVar[bool] = True
    fewest_samples: ClassVar[int] = 2
    weights: ClassVar[tuple[str, ...]] = ("scale",)
    decisive_options: ClassVar[tuple[str, ...]] = (*FeatureLoss.decisive_options, "on")
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"scale": {"log": [0.01, 1.0]}}
    on: Literal["logits", "features"] = "logits"
    """Which outputs are compared."""
    scale: Weight = 0.1
    """Small, since similarity does not identify the classes: the labels must still count at a weight of 0.1."""

    @property
    def reads_features(self) -> bool:
        """True if `on` is "features"."""
        return self.on == "features"

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """See the class; `temperature` is not used."""
        return self.scale * sp_loss(student_logits, teacher_logits)

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """See the class."""
        return TIMES_ON_FEATURES * self.scale * sp_loss(student, teacher)
