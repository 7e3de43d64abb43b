"""Evaluating a student while it trains: sums and counts over workers, divided once.

A mean of each worker's mean is wrong for uneven shards, so nothing is divided before everything is summed.
"""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from distill_tune.distillation.batches import UNLABELLED, Shard

_BATCH = 1000


@torch.inference_mode()
def evaluate(
    student: nn.Module, inputs: Tensor, labels: Tensor, teacher_logits: Tensor | None, shard: Shard
) -> dict[str, float]:
    """`accuracy`, `loss` (nats) and, with a teacher, `agreement`, over all workers' shards of the samples together.

    Args:
        student: stored-unit inputs to logits; left in eval mode.
        inputs: [n, *input_shape].
        labels: int64 [n]; unlabelled samples do not count.
        teacher_logits: [n, classes], or None.
        shard: this worker's part.
    """
    student.eval()
    sums = torch.zeros(5, dtype=torch.float64, device=labels.device)
    for start in range(shard.rank * _BATCH, len(labels), shard.world_size * _BATCH):
        rows = slice(start, start + _BATCH)
        logits = student(inputs[rows]).float()
        sums += _sums(logits, labels[rows], None if teacher_logits is None else teacher_logits[rows])
    if shard.world_size > 1:
        dist.all_reduce(sums)
    hits, loss, labelled, agreed, seen = sums.tolist()
    metrics = {"accuracy": hits / max(1, labelled), "loss": loss / max(1, labelled)}
    return metrics if teacher_logits is None else metrics | {"agreement": agreed / max(1, seen)}


def _sums(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None) -> Tensor:
    predicted = logits.argmax(1)
    known = labels != UNLABELLED
    agreed = 0 if teacher_logits is None else (predicted == teacher_logits.argmax(1)).sum()
    return torch.stack(
        [
            torch.as_tensor(value, dtype=torch.float64, device=labels.device)
            for value in (
                ((predicted == labels) & known).sum(),
                F.cross_entropy(logits, labels, reduction="sum", ignore_index=UNLABELLED),
                known.sum(),
                agreed,
                len(labels),
            )
        ]
    )
