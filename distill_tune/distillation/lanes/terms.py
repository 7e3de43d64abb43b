"""The terms of the lanes' losses and their gradients by the logits, ordered by class: [lanes, classes, batch].

The cross-entropies have closed-form gradients: the difference of two distributions, which is known once the loss is.
Autograd takes three times as long for them, mostly for passing over the logits again. Other losses that support lanes
use autograd.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill_tune.distillation.lanes.batches import Side
from distill_tune.distillation.losses import Loss
from distill_tune.distillation.losses.soft_targets import SoftTargets


class Term(NamedTuple):
    """A term of some lanes."""

    values: Tensor
    """[lanes]."""
    by_logits: Tensor
    """[lanes, classes, batch]: the gradient of the weighted sum."""


def labels_term(logits: Tensor, sides: Sequence[Side], smoothing: Tensor | None, weight: Tensor) -> Term:
    """The cross-entropy with each side, summed over the batch, as in `hard_losses` of `training/objective.py`.

    `smoothing` and `weight` are [lanes, 1, 1]; None means no smoothing.
    """
    logs, count = logits.log_softmax(1), logits.shape[1]
    kept = weight if smoothing is None else weight * (1 - smoothing)
    losses, moves, mass = list[Tensor](), list[Tensor](), list[Tensor]()
    for labels, own in sides:
        loss = -logs.gather(1, labels)
        if smoothing is not None:
            loss = torch.lerp(loss, -logs.mean(1, keepdim=True), smoothing)
        losses.append(loss if own is None else loss * own)
        moves.append(kept.expand(labels.shape) if own is None else kept * own)
        mass.append(weight if own is None else weight * own)
    by_logits = logs.exp_() if smoothing is None else logs.exp_().sub_(smoothing / count)
    by_logits.mul_(_sum(mass))
    for (labels, _), move in zip(sides, moves, strict=True):
        by_logits.scatter_add_(1, labels, -move)
    return Term(_sum(losses).sum((1, 2)), by_logits)


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    """The sum of one or two tensors."""
    return tensors[0] if len(tensors) == 1 else tensors[0] + tensors[1]


def teachers_term(
    loss: Loss, logits: Tensor, teacher: Tensor, temperature: Tensor, labels: Tensor | None, weight: Tensor
) -> Term:
    """The term that `loss.soft_with_labels` gives for the lanes.

    `teacher` is [lanes, batch, classes], `temperature` and `weight` are [lanes], `labels` [lanes, batch].
    """
    if is_written_out(loss):
        return _WRITTEN_OUT[type(loss)](logits, teacher, temperature, weight)
    return _differentiated(loss, logits, teacher, temperature, labels, weight)


def is_written_out(loss: Loss) -> bool:
    """Whether the loss has a hand-written gradient; such losses ignore labels."""
    return type(loss) in _WRITTEN_OUT


def _soft_targets(logits: Tensor, teacher: Tensor, temperature: Tensor, weight: Tensor) -> Term:
    """T^2 * KL(teacher || student), whose gradient is T * (student - teacher)."""
    heat, batch = temperature[:, None, None], teacher.shape[1]
    student = (logits / heat).log_softmax(1)
    wanted = torch.div(teacher.mT, heat, out=torch.empty_like(logits)).log_softmax(1)  # in the logits' memory layout
    probabilities = wanted.exp()
    divergence = wanted.sub_(student).mul_(probabilities).sum((1, 2))
    by_logits = student.exp_().sub_(probabilities).mul_((weight * temperature / batch)[:, None, None])
    return Term(divergence * (temperature**2 / batch), by_logits)


def _differentiated(
    loss: Any, logits: Tensor, teacher: Tensor, temperature: Tensor, labels: Tensor | None, weight: Tensor
) -> Term:
    rows = logits.mT.contiguous().requires_grad_()
    with torch.enable_grad():
        values: Tensor = loss.soft_with_labels(rows, teacher, temperature, labels)
        (by_rows,) = torch.autograd.grad((values * weight).sum(), rows)
    return Term(values.detach(), by_rows.mT)


_WRITTEN_OUT: dict[type[Loss], Callable[[Tensor, Tensor, Tensor, Tensor], Term]] = {SoftTargets: _soft_targets}
"""By exact class, as a subclass may compute something else."""
