"""What a distillation loss is: the second term of what is minimised; `training/objective.py` weighs the two, for all.

    loss = (1 - soft_weight) * CE(student, labels) + soft_weight * soft(student, teacher, T)

Losses use tensor methods only, or import torch inside, so that reading a configuration imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import Field, model_validator

from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import Tensor

    from distill_tune.config.sections import LossConfig

Weight = Annotated[float, Field(ge=0)]
"""The weight of one of several parts of a term."""


def a_row(number: float | Tensor) -> float | Tensor:
    """A number as it is, or one a lane, [lanes], in the shape that meets [lanes, batch, classes]."""
    return number if isinstance(number, float | int) else number[:, None, None]


class Loss(Options):
    """A kind of loss; its fields are its options beside `loss.temperature` and `loss.soft_weight`."""

    uses_teacher: ClassVar[bool] = True
    """False for a loss of labels alone: it has no temperature and no weight."""
    uses_temperature: ClassVar[bool] = True
    """False where `soft` does not look at `temperature`: then it is neither searched nor written down."""
    names_classes: ClassVar[bool] = True
    """False where the term does not say which class is which: then the labels, or another term, must be heard."""
    names_classes_from: ClassVar[int] = 2
    """With fewer classes it does not say which is which, as where `names_classes` is False."""
    fewest_classes: ClassVar[int] = 2
    """With fewer classes nothing is left of the term; see `needed_classes`."""
    fewest_samples: ClassVar[int] = 1
    """A worker's part of a batch must have so many; see `needed_samples`."""
    compares_samples: ClassVar[bool] = False
    """True where a sample's part of the term depends on the others in the batch.

    Of several workers, each compares the samples of its own part of the batch alone.
    """
    over_lanes: ClassVar[bool] = False
    """True where several students' terms can be had at once: from logits [lanes, batch, classes], temperatures [lanes]
    and labels [lanes, batch], a term a lane, [lanes]. Such students train together (`distillation/lanes/`).
    """
    weights: ClassVar[tuple[str, ...]] = ()
    """Fields that weigh the parts of the term, of which one at least must be above 0."""
    decisive_options: ClassVar[tuple[str, ...]] = ()
    """Fields that decide what it reads or needs: `reads_features`, `needed_classes`, `needed_samples`, layers, memory.

    Where a space has a range for one, the loss is looked at with each end of it before anything is trained.
    """

    @classmethod
    def of(cls, section: LossConfig) -> Loss:
        """The loss that `[loss]` names, with its options."""
        return section.chosen("kind", cls)

    @model_validator(mode="after")
    def _weighs_something(self) -> Self:
        if self.weights and not any(getattr(self, name) for name in self.weights):
            from distill_tune.config.messages import BrokenRule  # whose package makes a loss when it is imported

            verb = "is" if len(self.weights) == 2 else "are"
            others = f" where {' and '.join(self.weights[1:])} {verb} too" if self.weights[1:] else ""
            raise BrokenRule(self.weights[:1], f"must not be 0{others}: nothing would be left of the term.")
        return self

    @classmethod
    def missing_methods(cls) -> list[str]:
        """What is abstract, and `soft` where a term of the teacher's is computed in no other way."""
        return super().missing_methods() + (["soft"] if cls.uses_teacher and not cls.has_term() else [])

    @classmethod
    def has_term(cls) -> bool:
        """Whether it says how the teacher's term is computed."""
        return cls.soft is not Loss.soft or cls.soft_with_labels is not Loss.soft_with_labels

    @property
    def reads_features(self) -> bool:
        """Whether it is computed from features, and not from logits."""
        return False

    @property
    def needed_classes(self) -> int:
        """`fewest_classes`, or what it is with these options."""
        return self.fewest_classes

    @property
    def needed_samples(self) -> int:
        """`fewest_samples`, or what it is with these options."""
        return self.fewest_samples

    @property
    def smoothing_of_labels(self) -> float:
        """Share of the labels' weight that is spread over all classes, beside `optim.label_smoothing`."""
        return 0.0

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """The teacher's term: scalar, of the same gradient size at every temperature.

        Args:
            student_logits: [batch, classes], with gradient.
            teacher_logits: [batch, classes], raw, without gradient.
            temperature: divides both.
        """
        raise NotImplementedError

    def soft_with_labels(
        self, student_logits: Tensor, teacher_logits: Tensor, temperature: float, labels: Tensor | None
    ) -> Tensor:
        """What is minimised: `soft`, unless the loss looks at the labels too and so has this method of its own.

        `labels` are int64 [batch], negative where the student may not know; None where inputs were mixed.
        """
        return self.soft(student_logits, teacher_logits, temperature)
