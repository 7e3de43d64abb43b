"""What a loss on features is: the teacher's term, computed from what layers of the two networks put out.

A projector that joins the two shapes is made for it, is trained with the student, and is never part of it; the layers
are named, or found by themselves (`distillation/training/feature_terms.py`).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from distill_tune.distillation.losses._base import Loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

Layers = Annotated[list[str], Field(max_length=16)]
Shape = tuple[int, ...]
"""The shape of one sample's feature: (channels,) or (channels, height, width)."""
TIMES_ON_FEATURES = 100
"""For a loss on logits or features: how much more its weights count on features, on which no class depends."""


class FeatureLoss(Loss):
    """A loss on features; `scale` and the like are its subclasses' own."""

    uses_temperature: ClassVar[bool] = False
    decisive_options: ClassVar[tuple[str, ...]] = ("student_layers", "teacher_layers")
    names_classes: ClassVar[bool] = False
    """Nothing of it reaches the last layer; what `rkd` and `sp` say of logits holds for any order of the classes."""
    takes: ClassVar[Literal["last", "stage", "stages", "maps"]] = "last"
    """The layers that are taken where none are named: the one that the last layer sees; the last stage of each network;
    every stage, paired from the end; or that, of feature maps alone."""
    student_layers: Layers = Field(default_factory=list)
    """Names of the student's layers, as `named_modules()` has them; none: found by themselves."""
    teacher_layers: Layers = Field(default_factory=list)
    """Names of the teacher's layers, each compared with the student's layer in the same place."""

    @model_validator(mode="after")
    def _layers_come_in_pairs(self) -> Self:
        ours, theirs = len(self.student_layers), len(self.teacher_layers)
        if ours and theirs and ours != theirs:
            from distill_tune.config.messages import BrokenRule

            rule = f"each is compared with the student's layer in the same place, but got {theirs} for {ours}."
            raise BrokenRule(("teacher_layers",), rule)
        return self

    @property
    def reads_features(self) -> bool:
        """Whether it is computed from features, and not from logits."""
        return True

    @classmethod
    def has_term(cls) -> bool:
        """Whether it needs none on logits, or has one."""
        return cls.reads_features is FeatureLoss.reads_features or super().has_term()

    def joins(self, student: Shape, teacher: Shape) -> bool:
        """Whether features of these shapes can be compared."""
        return True

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module | None:
        """What brings the features of the pairs together; None where nothing need be learned.

        Args:
            student: the shapes of the student's features.
            teacher: of the teacher's, in the same order.

        Returns:
            A module from two lists of features to a list of what `compare` takes, one a pair.
        """
        return None

    def memory(self, pairs: int, samples: int, seed: int) -> nn.Module | None:
        """What is remembered of the training samples from batch to batch; None where nothing is.

        Args:
            pairs: how many are compared.
            samples: how many training samples there are.
            seed: of the training.

        Returns:
            A module without parameters, all of whose state is buffers, which every worker moves alike. It is called
            with the pairs, the samples' numbers (int64 [batch]) and that of the batch, and adds to each pair.
        """
        return None

    def memory_bytes(self, samples: int) -> int:
        """Bytes of the buffers of `memory`."""
        return 0

    @abstractmethod
    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        """The term of one pair: scalar; the term of several is their mean."""
