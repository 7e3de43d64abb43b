"""Losses with hand-written gradients by the logits, so that a step's backward pass begins at the student's logits.

The gradient of a cross-entropy is the difference of two distributions (Bishop, "Pattern Recognition and Machine
Learning", 2006, section 4.3.4), and both are known once its value is. Arithmetic on a few hundred logits costs next to
nothing, but PyTorch's overhead per operation, forward and backward, costs a small student a third of its step.
`lanes/terms.py` does the same for several students at once, with another memory layout of the logits. Other losses use
autograd.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from distill_tune.data import UNLABELLED
from distill_tune.distillation.losses.soft_targets import SoftTargets
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.training.objective import LossTerms, Objective


class WrittenOut(NamedTuple):
    """The terms of one step, and the gradient at which its backward pass begins."""

    terms: LossTerms
    by_logits: Tensor
    """[batch, classes]: the gradient of the minimised loss."""


def are_terms_written_out(objective: Objective) -> bool:
    """Whether all its terms have hand-written gradients; by exact class, as a subclass may compute something else."""
    return objective.is_plain and (not objective.has_soft or type(objective.loss) is SoftTargets)


@torch.no_grad()
def written_out(
    objective: Objective, logits: Tensor, batch: Batch, teacher_logits: Tensor | None, progress: float
) -> WrittenOut:
    """The same terms as `Objective.terms`, and the gradient of their weighted sum.

    Args:
        objective: one for which `are_terms_written_out`.
        logits: float32 [batch, classes].
        batch: the batch of these logits.
        teacher_logits: float32 [batch, classes]; may be None if `uses_teacher` is false.
        progress: 0 in the first step of a training, 1 in the last.
    """
    weight = objective.soft_weight(progress) if teacher_logits is not None and objective.has_soft else 0.0
    hard, by_logits = _labels_term(logits, batch, objective.label_smoothing, 1 - weight)
    if teacher_logits is None or not objective.has_soft:
        return WrittenOut(LossTerms(hard, None), by_logits)
    soft, by_teacher = _soft_targets_term(logits, teacher_logits, objective.temperature(progress), weight)
    return WrittenOut(LossTerms(hard, soft), by_logits.add_(by_teacher))


def _labels_term(logits: Tensor, batch: Batch, smoothing: float, weight: float) -> tuple[Tensor, Tensor]:
    """`hard_loss` of `training/objective.py`, and `weight` times its gradient."""
    each, logs = 1 / (len(logits) * batch.labelled_share), logits.log_softmax(-1)
    sides = _sides(batch)
    values = [_summed(_cross_entropies(logs, labels, smoothing), share) for labels, share in sides]
    by_logits = logs.exp_()
    if smoothing:
        by_logits.sub_(smoothing / logits.shape[-1])
    if (mass := _mass(sides)) is not None:
        by_logits.mul_(mass)
    by_logits.mul_(weight * each)
    for labels, share in sides:
        moved = torch.full_like(labels, -weight * each * (1 - smoothing), dtype=logits.dtype)
        by_logits.scatter_add_(-1, labels, moved if share is None else moved.mul_(share))
    return (values[0] if len(values) == 1 else values[0] + values[1]) * each, by_logits


def _sides(batch: Batch) -> list[tuple[Tensor, Tensor | None]]:
    """Labels, int64 [batch, 1], and their shares, [batch, 1] or None if all are 1; two pairs for mixed samples."""
    if batch.partner_labels is None or batch.share is None:
        return [_side(batch.labels, None, batch)]
    return [_side(batch.labels, batch.share, batch), _side(batch.partner_labels, 1 - batch.share, batch)]


def _side(labels: Tensor, share: Tensor | None, batch: Batch) -> tuple[Tensor, Tensor | None]:
    """One pair of `_sides`; an unlabelled sample gets an arbitrary label with share 0."""
    if batch.labelled_share < 1:
        known = (labels != UNLABELLED).float()
        labels, share = labels.clamp(min=0), known if share is None else share * known
    return labels.unsqueeze(-1), None if share is None else share.unsqueeze(-1)


def _mass(sides: list[tuple[Tensor, Tensor | None]]) -> Tensor | None:
    shares = [share for _, share in sides if share is not None]
    return None if not shares else shares[0] if len(shares) == 1 else shares[0] + shares[1]


def _cross_entropies(logs: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """[batch, 1]; like `F.cross_entropy`, spreads the smoothing over all classes, including the label's."""
    own = logs.gather(-1, labels)
    return own.neg_() if not smoothing else torch.lerp(own, logs.mean(-1, keepdim=True), smoothing).neg_()


def _summed(losses: Tensor, share: Tensor | None) -> Tensor:
    return losses.sum() if share is None else losses.mul_(share).sum()


def _soft_targets_term(
    logits: Tensor, teacher_logits: Tensor, temperature: float, weight: float
) -> tuple[Tensor, Tensor]:
    """T^2 * KL(teacher || student), and `weight` times its gradient, which is T * (student - teacher)."""
    each = temperature / len(logits)
    student = (logits / temperature).log_softmax(-1)
    wanted = (teacher_logits / temperature).log_softmax(-1)
    probabilities = wanted.exp()
    divergence = torch.dot(wanted.sub_(student).flatten(), probabilities.flatten())
    return divergence * (each * temperature), student.exp_().sub_(probabilities).mul_(weight * each)
