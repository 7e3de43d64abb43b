"""From logits to the minimised loss: the labels' term, the teacher's term and their weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import torch.nn.functional as F
from torch import Tensor

from distill_tune.config import Config
from distill_tune.data import UNLABELLED
from distill_tune.distillation.losses import FeatureLoss, Loss
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.schedule import between
from distill_tune.errors import TrainingError

_Number = TypeVar("_Number", Tensor, float)
NO_FEATURES: Mapping[str, Tensor] = MappingProxyType({})


class LossTerms(NamedTuple):
    """Unweighted scalars of one step; `soft` is None without a teacher."""

    hard: Tensor
    soft: Tensor | None
    also: tuple[Tensor, ...] = ()
    """The terms of `loss.also`, in its order."""


class Objective:
    """The configured loss of one run."""

    def __init__(self, config: Config):
        self.loss = Loss.of(config.loss)
        self._config = config.loss
        self.also: dict[str, Loss] = {name: config.loss.named(name) for name in config.loss.added}
        """The additional terms of `loss.also` that have a weight."""
        self._also_weights = tuple(config.loss.added.values())
        own, general = self.loss.smoothing_of_labels, config.optim.label_smoothing
        self.label_smoothing = own + general - own * general  # smoothing by one and then by the other

    @property
    def uses_teacher(self) -> bool:
        """Whether any step uses the teacher."""
        return self.has_soft or bool(self.also)

    @property
    def has_soft(self) -> bool:
        """Whether the term of `loss.kind` uses a teacher and has a nonzero weight in any step."""
        return self.loss.uses_teacher and max(self._config.soft_weight, self._config.soft_weight_end or 0.0) > 0

    @property
    def on_features(self) -> dict[str, FeatureLoss]:
        """The losses, by name, of the terms that are computed from features."""
        terms = ({self._config.kind: self.loss} if self.has_soft else {}) | self.also
        return {name: loss for name, loss in terms.items() if isinstance(loss, FeatureLoss) and loss.reads_features}

    @property
    def is_plain(self) -> bool:
        """Whether the teacher has at most one term, computed from logits."""
        return not self.also and not self.on_features

    def temperature(self, progress: float = 0.0) -> float:
        """The temperature at `progress`: 0 in the first step of a training, 1 in the last."""
        return between(self._config.temperature, self._config.temperature_end, self._config.schedule, progress)

    def soft_weight(self, progress: float = 0.0) -> float:
        """The weight of the teacher's term at `progress`."""
        if not self.loss.uses_teacher:
            return 0.0
        return between(self._config.soft_weight, self._config.soft_weight_end, self._config.schedule, progress)

    def terms(
        self,
        logits: Tensor,
        batch: Batch,
        teacher_logits: Tensor | None,
        progress: float = 0.0,
        on_features: Mapping[str, Tensor] = NO_FEATURES,
    ) -> LossTerms:
        """The terms of one batch; `logits` are [batch, classes].

        `teacher_logits` may be None if `uses_teacher` is false; `on_features` has the terms that are computed from
        features.
        """
        hard = hard_loss(logits, batch, self.label_smoothing)
        if teacher_logits is None:
            return LossTerms(hard, None)
        labels = batch.labels if batch.share is None else None
        temperature = self.temperature(progress)

        def term(name: str, loss: Loss) -> Tensor:
            if name in on_features:
                return on_features[name]
            found: Tensor | None = loss.soft_with_labels(logits, teacher_logits, temperature, labels)
            if found is None:  # from a user-defined loss; it would pass for a training without a teacher
                raise TrainingError(
                    f"loss: `soft` of {name!r} must give one number as a tensor, but gave None; mend it."
                )
            return found

        soft = term(self._config.kind, self.loss) if self.has_soft else None
        return LossTerms(hard, soft, tuple(term(name, loss) for name, loss in self.also.items()))

    def weigh(
        self, hard: _Number, soft: _Number | None, also: tuple[_Number, ...] = (), progress: float = 0.0
    ) -> _Number:
        """The weighted sum of the terms."""
        weight = self.soft_weight(progress)
        total = hard if soft is None else (1 - weight) * hard + weight * soft
        for value, its_weight in zip(also, self._also_weights, strict=True):
            total = total + its_weight * value
        return total


def hard_loss(logits: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy with the labels; for mixed inputs, with both labels weighted by their share.

    An unlabelled sample, or side of a mixture, adds nothing. The sum is divided by a batch's average number of labels,
    not by this batch's own: the parts of a batch on several workers then average to the whole, and in the long run
    every label counts the same.
    """
    if (batch.partner_labels is None or batch.share is None) and batch.labelled_share == 1:
        return F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
    return hard_losses(logits, batch, label_smoothing).mean() / batch.labelled_share


def hard_losses(logits: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
    """The cross-entropy of each sample, 0 if unlabelled: [..., batch] from logits [..., batch, classes]."""
    own = _each(logits, batch.labels, label_smoothing)
    if batch.partner_labels is None or batch.share is None:
        return own
    return own * batch.share + _each(logits, batch.partner_labels, label_smoothing) * (1 - batch.share)


def _each(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    return F.cross_entropy(
        logits.flatten(0, -2),
        labels.flatten(),
        label_smoothing=label_smoothing,
        reduction="none",
        ignore_index=UNLABELLED,
    ).view_as(labels)
