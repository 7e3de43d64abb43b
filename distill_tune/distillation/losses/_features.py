"""Base class of losses on features: the teacher's term, computed from layer outputs of the two networks.

A projector that reconciles the two shapes is trained with the student but never becomes part of it. Layers are named,
or found automatically (`distillation/training/feature_terms.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from distill_tune.config.messages import BrokenRule
from distill_tune.distillation.losses._base import Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

Layers = Annotated[list[str], Field(max_length=16)]
Shape = tuple[int, ...]
"""Shape of one sample's feature: (channels,) or (channels, height, width)."""
TIMES_ON_FEATURES = 100
"""For losses that take logits or features: factor on their weights for features, on which no class depends."""


class FeatureLoss(Loss):
    """A loss on features; subclasses add options such as `scale`."""

    uses_temperature: ClassVar[bool] = False
    decisive_options: ClassVar[tuple[str, ...]] = ("student_layers", "teacher_layers")
    names_classes: ClassVar[bool] = False
    """The term never reaches the last layer; on logits, `rkd` and `sp` are the same for any order of the classes."""
    takes: ClassVar[Literal["last", "stage", "stages", "maps"]] = "last"
    """Layers used if none are named: the input of the last layer; the last stage of each network; every stage, paired
    from the end; or every stage, but feature maps only."""
    student_layers: Layers = Field(default_factory=list)
    """Names of the student's layers, as in `named_modules()`; if empty, they are found automatically."""
    teacher_layers: Layers = Field(default_factory=list)
    """Names of the teacher's layers, each compared with the student's layer at the same position."""

    @model_validator(mode="after")
    def _layers_come_in_pairs(self) -> Self:
        ours, theirs = len(self.student_layers), len(self.teacher_layers)
        if ours and theirs and ours != theirs:
            rule = f"each is compared with the student's layer in the same place, but got {theirs} for {ours}."
            raise BrokenRule(("teacher_layers",), rule)
        return self

    @property
    def reads_features(self) -> bool:
        """Whether it is computed from features instead of logits."""
        return True

    @classmethod
    def has_term(cls) -> bool:
        """Whether it needs no term on logits, or defines one."""
        return cls.reads_features is FeatureLoss.reads_features or super().has_term()

    def joins(self, student: Shape, teacher: Shape) -> bool:
        """Whether features of these shapes can be compared."""
        return True

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module | None:
        """A module that makes paired features comparable; None if nothing needs to be learned.

        Args:
            student: shapes of the student's features.
            teacher: shapes of the teacher's features, in the same order.

        Returns:
            A module from two lists of features to a list of arguments for `compare`, one entry per pair.
        """
        return None

    def memory(self, pairs: int, samples: int, seed: int) -> nn.Module | None:
        """State kept about the training samples across batches; None if there is none.

        Args:
            pairs: number of pairs of features.
            samples: number of training samples.
            seed: seed of the training.

        Returns:
            A module without parameters, whose whole state is buffers that every worker updates identically. It is
            called with the pairs, the samples' numbers (int64 [batch]) and the batch number, and extends each pair.
        """
        return None

    def memory_bytes(self, samples: int) -> int:
        """Size of the buffers of `memory` in bytes."""
        return 0

    @abstractmethod
    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """The term of one pair, a scalar; the terms of several pairs are averaged."""
