"""From logits to the number that is minimised: the labels' term, the teacher's term, and their one weighing."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch.nn.functional as F
from torch import Tensor

from distill_tune.config import Config
from distill_tune.distillation.batches import UNLABELLED, Batch
from distill_tune.distillation.losses import Loss

_Number = TypeVar("_Number", Tensor, float)


class LossTerms(NamedTuple):
    """Scalars of one step, in nats; `soft` is None without a teacher."""

    hard: Tensor
    soft: Tensor | None


class Objective:
    """The configured loss of one run."""

    def __init__(self, config: Config):
        self.loss: Loss = config.loss.chosen("kind")
        self.temperature = config.loss.temperature
        self.soft_weight = config.loss.soft_weight if self.loss.uses_teacher else 0.0
        self.label_smoothing = config.optim.label_smoothing

    @property
    def uses_teacher(self) -> bool:
        """Whether the teacher's logits are looked at."""
        return self.soft_weight > 0

    def terms(self, logits: Tensor, batch: Batch, teacher_logits: Tensor | None) -> LossTerms:
        """The two terms of one batch, not yet weighed; `logits` are [batch, classes].

        `teacher_logits` may be None where `uses_teacher` is false.
        """
        hard = hard_loss(logits, batch, self.label_smoothing)
        if teacher_logits is None:
            return LossTerms(hard, None)
        return LossTerms(hard, self.loss.soft(logits, teacher_logits, self.temperature))

    def weigh(self, hard: _Number, soft: _Number | None) -> _Number:
        """The total of two terms."""
        return hard if soft is None else (1 - self.soft_weight) * hard + self.soft_weight * soft


def hard_loss(logits: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with the labels; for mixed inputs, with both labels by their share.

    An unlabelled sample, or side of a mixture, adds nothing. The sum is divided by how many labels a batch has on
    average, not by how many this one has: parts of a batch on several workers then average to the whole, and in the
    long run every label counts the same.
    """
    if batch.partner_labels is None or batch.share is None:
        if batch.labelled_share == 1:
            return F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
        return _each(logits, batch.labels, label_smoothing).mean() / batch.labelled_share
    own = _each(logits, batch.labels, label_smoothing) * batch.share
    partners = _each(logits, batch.partner_labels, label_smoothing) * (1 - batch.share)
    return (own + partners).mean() / batch.labelled_share


def _each(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """float32 [batch]: 0 for unlabelled samples."""
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none", ignore_index=UNLABELLED)
