"""DIST: the student's probabilities should correlate with the teacher's, not equal them.

Huang, You, Wang, Qian, Xu, "Knowledge Distillation from A Stronger Teacher", NeurIPS 2022,
https://arxiv.org/abs/2205.10536
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from distill_tune.distillation.losses._base import Loss, Weight, a_row
from distill_tune.registry import LOSSES

if TYPE_CHECKING:
    from torch import Tensor

_TINY = 1e-8


def pearson_distance(ours: Tensor, theirs: Tensor, dim: int) -> Tensor:
    """1 - Pearson's correlation along `dim`, averaged: 0 for equal, 2 for opposite; 1 if one side is constant."""
    return 1 - (_centred(ours, dim) * _centred(theirs, dim)).sum(dim).mean(-1)


def _centred(values: Tensor, dim: int) -> Tensor:
    """The values with mean 0 and length 1 along `dim`."""
    centred: Tensor = values - values.mean(dim, keepdim=True)
    length: Tensor = centred.norm(dim=dim, keepdim=True)
    return centred / length.clamp_min(_TINY)


@LOSSES.register
class Dist(Loss):
    """inter_weight * (1 - correlation over classes) + intra_weight * (1 - correlation over the batch).

    Both use softmax(logits / T): the first, over each sample's row, preserves the order of the classes; the second,
    over each class's column, that of the samples. Since a correlation does not depend on scale, its gradient hardly
    depends on T, so the factor T^2 of the authors' code is left out.

    With several workers, each correlates the columns of its own part of the batch.
    """

    compares_samples: ClassVar[bool] = True
    over_lanes: ClassVar[bool] = True
    names_classes_from: ClassVar[int] = 3  # from three on, by rows: two always correlate by 1 or -1
    weights: ClassVar[tuple[str, ...]] = ("inter_weight", "intra_weight")
    naming_weights: ClassVar[tuple[str, ...]] = ("inter_weight",)  # columns leave each class its own offset
    decisive_options: ClassVar[tuple[str, ...]] = weights
    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"intra_weight": {"log": [0.5, 4.0]}}
    inter_weight: Weight = 2.0
    """The paper's beta: weight of the relation between classes."""
    intra_weight: Weight = 2.0
    """The paper's gamma: weight of the relation between samples."""

    @property
    def needed_classes(self) -> int:
        """Three if only rows count: with two classes, rows always correlate by 1 or -1."""
        return 2 if self.intra_weight else 3

    @property
    def needed_samples(self) -> int:
        """Three if only columns count: with two samples, columns always correlate by 1 or -1."""
        return 1 if self.inter_weight else 3

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float | Tensor) -> Tensor:
        """See the class."""
        by = a_row(temperature)
        student, teacher = (student_logits / by).softmax(-1), (teacher_logits / by).softmax(-1)
        inter, intra = pearson_distance(student, teacher, -1), pearson_distance(student, teacher, -2)
        return self.inter_weight * inter + self.intra_weight * intra
