"""The terms of the lanes' losses with their gradients by the logits, which lie class by class: [lanes, classes, batch].

The cross-entropies are written out: their gradient is the difference of two distributions, which is at hand when the
loss is. Autograd takes three times as long for them, most of it for going over the logits again. Any other loss that
can work on lanes is left to it.
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
    """[lanes, classes, batch]: the gradient of the weighed sum."""


def labels_term(logits: Tensor, sides: Sequence[Side], smoothing: Tensor | None, weight: Tensor) -> Term:
    """The sum over the batch of the cross-entropy with each side, as `hard_losses` of `training/objective.py` has it.

    `smoothing` and `weight` are [lanes, 1, 1]; no smoothing is None.
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
    """Of one there is nothing to add to."""
    return tensors[0] if len(tensors) == 1 else tensors[0] + tensors[1]


def teachers_term(
    loss: Loss, logits: Tensor, teacher: Tensor, temperature: Tensor, labels: Tensor | None, weight: Tensor
) -> Term:
    """What `loss.soft_with_labels` says of the lanes.

    `teacher` is [lanes, batch, classes], `temperature` and `weight` are [lanes], `labels` [lanes, batch].
    """
    if is_written_out(loss):
        return _WRITTEN_OUT[type(loss)](logits, teacher, temperature, weight)
    return _differentiated(loss, logits, teacher, temperature, labels, weight)


def is_written_out(loss: Loss) -> bool:
    """Whether its gradient is; then it does not look at labels either."""
    return type(loss) in _WRITTEN_OUT


def _soft_targets(logits: Tensor, teacher: Tensor, temperature: Tensor, weight: Tensor) -> Term:
    """T^2 * KL(teacher || student), whose gradient is T * (student - teacher)."""
    heat, batch = temperature[:, None, None], teacher.shape[1]
    student = (logits / heat).log_softmax(1)
    wanted = torch.div(teacher.mT, heat, out=torch.empty_like(logits)).log_softmax(1)  # lies as the logits do
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
"""By the very class: one that is derived from it may compute something else."""
