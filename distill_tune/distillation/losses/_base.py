"""Base class of distillation losses: the second term of the objective, which `training/objective.py` weighs.

    loss = (1 - soft_weight) * CE(student, labels) + soft_weight * soft(student, teacher, T)

Losses use tensor methods only, or import torch inside functions, so that reading a configuration does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from distill_tune.config.messages import BrokenRule
from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import Tensor

    from distill_tune.config.sections import LossConfig

Weight = Annotated[float, Field(ge=0)]
"""Weight of one of a term's parts."""


def a_row(number: float | Tensor) -> float | Tensor:
    """A scalar unchanged; one number per lane, [lanes], reshaped to broadcast with [lanes, batch, classes]."""
    return number if isinstance(number, float | int) else number[:, None, None]


class Loss(Options):
    """A kind of loss; its fields are its options, in addition to `loss.temperature` and `loss.soft_weight`."""

    uses_teacher: ClassVar[bool] = True
    """False for a loss on labels alone, which has neither a temperature nor a weight."""
    uses_temperature: ClassVar[bool] = True
    """False if `soft` ignores `temperature`, which is then neither searched nor recorded."""
    names_classes: ClassVar[bool] = True
    """False if the term does not identify the classes, so that the labels or another term must have weight."""
    names_classes_from: ClassVar[int] = 2
    """With fewer classes the term does not identify them, as if `names_classes` were False."""
    naming_weights: ClassVar[tuple[str, ...]] = ()
    """Of `weights` those whose parts identify the classes: with all of them 0, the rest of the term does not."""
    fewest_classes: ClassVar[int] = 2
    """With fewer classes the term vanishes; see `needed_classes`."""
    fewest_samples: ClassVar[int] = 1
    """Minimum number of samples in a worker's part of a batch; see `needed_samples`."""
    compares_samples: ClassVar[bool] = False
    """True if a sample's contribution depends on the others in the batch.

    With several workers, each compares only the samples in its own part of the batch.
    """
    over_lanes: ClassVar[bool] = False
    """True if several students' terms can be computed at once: from logits [lanes, batch, classes], temperatures
    [lanes] and labels [lanes, batch] to one term per lane, [lanes]. Such students train together
    (`distillation/lanes/`).
    """
    weights: ClassVar[tuple[str, ...]] = ()
    """Fields that weigh the parts of the term; at least one must be above 0."""
    decisive_options: ClassVar[tuple[str, ...]] = ()
    """Fields that decide what it reads or needs, and what it `identifies`: `reads_features`, `needed_classes`,
    `needed_samples`, layers, memory, weights.

    If a search space has a range for one, the loss is checked at both ends of it before any training.
    """

    @classmethod
    def of(cls, section: LossConfig) -> Loss:
        """The loss that `[loss]` names, with its options."""
        return section.chosen("kind", cls)

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if self.weights and not any(getattr(self, name) for name in self.weights):
            verb = "is" if len(self.weights) == 2 else "are"
            others = f" where {' and '.join(self.weights[1:])} {verb} too" if self.weights[1:] else ""
            raise BrokenRule(self.weights[:1], f"must not be 0{others}: nothing would be left of the term.")
        return self

    @classmethod
    def missing_methods(cls) -> list[str]:
        """Abstract methods, and `soft` if the teacher's term is not computed in any other way."""
        return super().missing_methods() + (["soft"] if cls.uses_teacher and not cls.has_term() else [])

    @classmethod
    def has_term(cls) -> bool:
        """Whether it defines how the teacher's term is computed."""
        return cls.soft is not Loss.soft or cls.soft_with_labels is not Loss.soft_with_labels

    @property
    def reads_features(self) -> bool:
        """Whether it is computed from features instead of logits."""
        return False

    @property
    def needed_classes(self) -> int:
        """`fewest_classes`, adjusted for these options."""
        return self.fewest_classes

    @property
    def needed_samples(self) -> int:
        """`fewest_samples`, adjusted for these options."""
        return self.fewest_samples

    def identifies(self, classes: int | None) -> bool:
        """Whether the term, with these options, says which of so many classes is which; None: of enough classes."""
        is_mute = self.naming_weights and not any(getattr(self, name) for name in self.naming_weights)
        return self.names_classes and not is_mute and (classes is None or classes >= self.names_classes_from)

    @property
    def smoothing_of_labels(self) -> float:
        """Share of a label's weight spread over all classes, in addition to `optim.label_smoothing`."""
        return 0.0

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """The teacher's term: a scalar whose gradient has the same size at every temperature.

        Args:
            student_logits: [batch, classes], with gradient.
            teacher_logits: [batch, classes], raw, without gradient.
            temperature: divides both logits.
        """
        raise NotImplementedError

    def soft_with_labels(
        self, student_logits: Tensor, teacher_logits: Tensor, temperature: float, labels: Tensor | None
    ) -> Tensor:
        """The term that is minimised: `soft`, unless a loss that also reads the labels overrides this method.

        `labels` are int64 [batch], negative if hidden from the student; None if the inputs were mixed.
        """
        return self.soft(student_logits, teacher_logits, temperature)
