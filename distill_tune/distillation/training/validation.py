"""Evaluating a student while it trains: sums and counts over workers, divided once.

A mean of the workers' means is wrong for uneven shards, so nothing is divided before everything is summed. Worst-class
accuracy is the worst-group accuracy of Sagawa et al., "Distributionally Robust Neural Networks", 2020
(https://arxiv.org/abs/1911.08731), with classes as groups.

PyTorch's inference mode is not used: a user-defined student may keep a tensor from a forward pass, such as a mask for
that batch size, and could not train with it afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from distill_tune.distillation.data_parallel import Shard
from distill_tune.evaluation.portions import samples_at_a_time


@dataclass(frozen=True)
class Sums:
    """The sums and counts of an evaluation, so that several can be added before anything is divided."""

    loss: float
    """Cross-entropy (nats), summed over samples."""
    agreed: float | None
    """Samples for which student and teacher agree; None without a teacher."""
    hits: Tensor
    """float64 [classes]: correctly classified samples of each class."""
    counts: Tensor
    """float64 [classes]: samples of each class."""

    def __add__(self, other: Sums) -> Sums:
        """The sums of both evaluations together."""
        agreed = None if self.agreed is None or other.agreed is None else self.agreed + other.agreed
        return Sums(self.loss + other.loss, agreed, self.hits + other.hits, self.counts + other.counts)

    @property
    def count(self) -> float:
        """Number of samples."""
        return self.counts.sum().item()

    @property
    def metrics(self) -> dict[str, float]:
        """`accuracy`, `loss` (nats), `worst_class_accuracy` and, with a teacher, `agreement`.

        `worst_class_accuracy` is the lowest over the classes that have samples.
        """
        present = self.counts > 0
        worst = (self.hits[present] / self.counts[present]).min().item()
        accuracy, loss = self.hits.sum().item() / self.count, self.loss / self.count
        metrics = {"accuracy": accuracy, "loss": loss, "worst_class_accuracy": worst}
        return metrics if self.agreed is None else metrics | {"agreement": self.agreed / self.count}


def evaluate(
    student: nn.Module, inputs: Tensor, labels: Tensor, teacher_logits: Tensor | None, shard: Shard
) -> dict[str, float]:
    """The metrics of `Sums`; arguments as for `sums_of`."""
    return sums_of(student, inputs, labels, teacher_logits, shard).metrics


@torch.no_grad()
def sums_of(student: nn.Module, inputs: Tensor, labels: Tensor, teacher_logits: Tensor | None, shard: Shard) -> Sums:
    """Evaluate a student on the samples, over all workers' shards together.

    Args:
        student: maps inputs in stored units to logits; left in eval mode.
        inputs: [n, *input_shape], n >= 1, on any device.
        labels: int64 [n], on the student's device.
        teacher_logits: [n, classes], or None.
        shard: this worker's part.
    """
    student.eval()
    counts = torch.bincount(labels).double()
    sums = torch.zeros(2 + len(counts), dtype=torch.float64, device=labels.device)
    for rows in _portions(inputs, labels.device, shard):
        logits = student(inputs[rows].to(labels.device)).float()
        some_teacher_logits = None if teacher_logits is None else teacher_logits[rows]
        sums += _sums(logits, labels[rows], some_teacher_logits, len(counts))
    if shard.world_size > 1:
        dist.all_reduce(sums)
    loss, agreed = sums[:2].tolist()
    return Sums(loss, None if teacher_logits is None else agreed, sums[2:].cpu(), counts.cpu())


@torch.no_grad()
def share_right(student: nn.Module, inputs: Tensor, labels: Tensor, shard: Shard) -> float:
    """Accuracy alone, as in `evaluate`; a sample with a NaN logit, which argmax would select, is never right."""
    student.eval()
    hits = torch.zeros((), dtype=torch.float64, device=labels.device)
    for rows in _portions(inputs, labels.device, shard):
        largest, predicted = student(inputs[rows].to(labels.device)).max(1)
        hits += ((predicted == labels[rows]) & ~largest.isnan()).sum()
    if shard.world_size > 1:
        dist.all_reduce(hits)
    return hits.item() / len(labels)


def _portions(inputs: Tensor, device: torch.device, shard: Shard) -> Iterator[slice]:
    """Slices of this worker's part of the samples."""
    step = samples_at_a_time(inputs.shape[1:], device.type)
    first, last = (len(inputs) * rank // shard.world_size for rank in (shard.rank, shard.rank + 1))
    return (slice(start, min(start + step, last)) for start in range(first, last, step))


def _sums(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None, classes: int) -> Tensor:
    """float64 [2 + classes]: cross-entropy, agreements with the teacher, and right predictions by class."""
    predicted = logits.argmax(1)
    right = predicted == labels
    agreed = right.sum() if teacher_logits is None else (predicted == teacher_logits.argmax(1)).sum()
    loss = F.cross_entropy(logits, labels, reduction="sum")
    # Not by mask or `bincount`: the CPU would wait for the sizes of their results.
    by_class = torch.zeros(classes, dtype=torch.float64, device=labels.device).index_add_(0, labels, right.double())
    return torch.cat([torch.stack([loss.double(), agreed.double()]), by_class])
