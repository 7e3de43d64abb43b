"""From logits to the number that is minimised: the labels' term, the teacher's term, and their one weighing."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from distill_tune.config import Config
from distill_tune.distillation.batches import UNLABELLED, Batch
from distill_tune.distillation.losses._base import Loss


class LossTerms(NamedTuple):
    """Scalars of one step; `soft` is None without a teacher."""

    total: Tensor
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

    def __call__(self, logits: Tensor, batch: Batch, teacher_logits: Tensor | None) -> LossTerms:
        """Weigh the two terms of one batch; `logits` are [batch, classes]."""
        hard = hard_loss(logits, batch, self.label_smoothing)
        if teacher_logits is None or not self.uses_teacher:
            return LossTerms(hard, hard, None)
        soft = self.loss.soft(logits, teacher_logits, self.temperature)
        return LossTerms((1 - self.soft_weight) * hard + self.soft_weight * soft, hard, soft)


def hard_loss(logits: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with the labels, over labelled samples; for mixed inputs, of both labels by their share."""
    if batch.partner_labels is None or batch.share is None:
        if batch.all_labelled:
            return F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
        return _weighed_cross_entropy(logits, batch.labels, label_smoothing, 1.0)
    own = _weighed_cross_entropy(logits, batch.labels, label_smoothing, batch.share)
    return own + _weighed_cross_entropy(logits, batch.partner_labels, label_smoothing, 1 - batch.share)


def _weighed_cross_entropy(logits: Tensor, labels: Tensor, label_smoothing: float, share: Tensor | float) -> Tensor:
    each = F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none", ignore_index=UNLABELLED)
    return (each * share).sum() / (labels != UNLABELLED).sum().clamp(min=1)
