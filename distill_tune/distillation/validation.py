"""Evaluating a student while it trains: sums and counts over workers, divided once.

A mean of each worker's mean is wrong for uneven shards, so nothing is divided before everything is summed. The accuracy
of the worst class is that of the worst group of Sagawa et al., "Distributionally Robust Neural Networks", 2020
(https://arxiv.org/abs/1911.08731), with classes for groups.
"""

from collections.abc import Iterator

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from distill_tune.distillation.batches import Shard

_BATCH = 1000


@torch.inference_mode()
def evaluate(
    student: nn.Module, inputs: Tensor, labels: Tensor, teacher_logits: Tensor | None, shard: Shard
) -> dict[str, float]:
    """Over all workers' shards of the samples together: `accuracy`, `loss` (nats), `worst_class_accuracy`, `agreement`.

    The last is there with a teacher; the one before it is the lowest over the classes that have samples.

    Args:
        student: stored-unit inputs to logits; left in eval mode.
        inputs: [n, *input_shape], n >= 1.
        labels: int64 [n].
        teacher_logits: [n, classes], or None.
        shard: this worker's part.
    """
    student.eval()
    counts = torch.bincount(labels).double()
    sums = torch.zeros(2 + len(counts), dtype=torch.float64, device=labels.device)
    for rows in _batches(len(labels), shard):
        logits = student(inputs[rows]).float()
        some_teacher_logits = None if teacher_logits is None else teacher_logits[rows]
        sums += _sums(logits, labels[rows], some_teacher_logits, len(counts))
    if shard.world_size > 1:
        dist.all_reduce(sums)
    loss, agreed = (sums[:2] / len(labels)).tolist()
    hits, present = sums[2:], counts > 0
    worst = (hits[present] / counts[present]).min().item()
    metrics = {"accuracy": hits.sum().item() / len(labels), "loss": loss, "worst_class_accuracy": worst}
    return metrics if teacher_logits is None else metrics | {"agreement": agreed}


@torch.inference_mode()
def share_right(student: nn.Module, inputs: Tensor, labels: Tensor, shard: Shard) -> float:
    """Accuracy alone, as `evaluate` has it."""
    student.eval()
    hits = torch.zeros((), dtype=torch.float64, device=labels.device)
    for rows in _batches(len(labels), shard):
        hits += (student(inputs[rows]).argmax(1) == labels[rows]).sum()
    if shard.world_size > 1:
        dist.all_reduce(hits)
    return hits.item() / len(labels)


def _batches(count: int, shard: Shard) -> Iterator[slice]:
    """The batches of this worker's part of `count` samples."""
    first, last = (count * rank // shard.world_size for rank in (shard.rank, shard.rank + 1))
    return (slice(start, min(start + _BATCH, last)) for start in range(first, last, _BATCH))


def _sums(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None, classes: int) -> Tensor:
    """float64 [2 + classes]: cross-entropy, predictions that are the teacher's, and right predictions by class."""
    predicted = logits.argmax(1)
    right = predicted == labels
    agreed = right.sum() if teacher_logits is None else (predicted == teacher_logits.argmax(1)).sum()
    loss = F.cross_entropy(logits, labels, reduction="sum")
    by_class = torch.bincount(labels[right], minlength=classes)
    return torch.cat([torch.stack([loss.double(), agreed.double()]), by_class.double()])
