"""What a distillation loss is: the second term of what is minimised. `objective.py` weighs the two, for all losses.

    loss = (1 - soft_weight) * CE(student, labels) + soft_weight * soft(student, teacher, T)

Losses use tensor methods only, so that reading a configuration imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Options):
    """A kind of loss; its fields are its options beside `loss.temperature` and `loss.soft_weight`."""

    uses_teacher: ClassVar[bool] = True
    """False for a loss of labels alone: it has no temperature and no weight."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        """The teacher's term: scalar, nats, of the same gradient size at every temperature.

        Args:
            student_logits: [batch, classes], with gradient.
            teacher_logits: [batch, classes], raw, without gradient.
            temperature: divides both.
        """
        raise NotImplementedError
