"""Similarity preserving: samples that are alike to the teacher shall be alike to the student, whatever the logits are.

Tung, Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, https://arxiv.org/abs/1907.09682
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.distillation.losses._base import Loss, Weight
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-8


def similarities(logits: Tensor) -> Tensor:
    """[batch, batch]: products of all pairs of samples' logits, each row divided by its length."""
    products = logits @ logits.mT
    lengths: Tensor = products.norm(dim=-1, keepdim=True)
    return products / lengths.clamp_min(_TINY)


@LOSSES.register
class Sp(Loss):
    """scale * ||G_student - G_teacher||^2 / batch, where G are the `similarities` of the logits.

    The paper takes features, below a last layer that is free, and so its weight is large; it divides by batch^2, which
    makes the term's size depend on that of the batch. Of several workers, each compares the samples of its own part.
    """

    uses_temperature: ClassVar[bool] = False
    compares_samples: ClassVar[bool] = True
    over_lanes: ClassVar[bool] = True
    scale: Weight = 0.1
    """Small, since likeness does not say which class is which: the labels must be heard, at a weight of 0.1 too."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """See the class; `temperature` is not used."""
        difference = similarities(student_logits) - similarities(teacher_logits)
        return difference.square().sum((-2, -1)) * (self.scale / difference.shape[-2])
