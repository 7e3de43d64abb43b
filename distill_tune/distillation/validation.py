"""Evaluating a student while it trains: sums and counts over workers, divided once.

A mean of each worker's mean is wrong for uneven shards, so nothing is divided before everything is summed.
"""

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
    """`accuracy`, `loss` (nats) and, with a teacher, `agreement`, over all workers' shards of the samples together.

    Args:
        student: stored-unit inputs to logits; left in eval mode.
        inputs: [n, *input_shape], n >= 1.
        labels: int64 [n].
        teacher_logits: [n, classes], or None.
        shard: this worker's part.
    """
    student.eval()
    sums = torch.zeros(3, dtype=torch.float64, device=labels.device)
    first, last = (len(labels) * rank // shard.world_size for rank in (shard.rank, shard.rank + 1))
    for start in range(first, last, _BATCH):
        rows = slice(start, min(start + _BATCH, last))
        logits = student(inputs[rows]).float()
        sums += _sums(logits, labels[rows], None if teacher_logits is None else teacher_logits[rows])
    if shard.world_size > 1:
        dist.all_reduce(sums)
    hits, loss, agreed = (sums / len(labels)).tolist()
    metrics = {"accuracy": hits, "loss": loss}
    return metrics if teacher_logits is None else metrics | {"agreement": agreed}


def _sums(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
    """float64 [3]: right predictions, cross-entropy, and predictions that are the teacher's."""
    predicted = logits.argmax(1)
    hits = (predicted == labels).sum()
    agreed = hits if teacher_logits is None else (predicted == teacher_logits.argmax(1)).sum()
    return torch.stack([hits.double(), F.cross_entropy(logits, labels, reduction="sum").double(), agreed.double()])
