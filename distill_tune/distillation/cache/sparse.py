"""Truncate a teacher's logits over many classes to the k largest and one number for all others.

The others' probability is kept and spread evenly over them, as in Shen, Xing, "A Fast Knowledge Distillation Framework
for Visual Recognition", ECCV 2022, https://arxiv.org/abs/2112.01528 (marginal smoothing), but on raw logits, since the
temperature is searched: each of the rest gets the logit log(mean(exp(rest))). At temperature 1 the k largest keep their
probabilities exactly, and the tail its mass m; what is lost is the tail's shape:

    KL(teacher || kept) = m * (log(classes - k) - H(tail)) <= m * log(classes - k)     nats

At T > 1 the tail's mass is overestimated (a mean of powers is below the power of the mean), at T < 1 underestimated;
the k largest share the remainder in their true proportions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

import torch
from torch import Tensor

from distill_tune.distillation.devices import gathered

AUTO_ABOVE = 300
"""Up to this many classes all logits are kept, unless `teacher.keep` is set."""
AUTO_KEEP = 100
_LARGEST_INT16 = 1 << 15


@dataclass(frozen=True)
class SparseLogits:
    """The truncated logits of n samples."""

    largest: Tensor
    """float32 [n, k], descending."""
    index: Tensor
    """int16 or int32 [n, k]: the classes of `largest`."""
    tail: Tensor
    """float32 [n]: the logit that all other classes share."""
    classes: int

    @classmethod
    def of(cls, logits: Tensor, keep: int) -> SparseLogits:
        """Keep the `keep` largest of each row of `logits`, float [n, classes], and the rest's mass; keep < classes."""
        largest, index = logits.topk(keep, dim=1)
        classes = logits.shape[1]
        rest = logits.double().scatter(1, index, -torch.inf).logsumexp(1) - log(classes - keep)
        small = torch.int16 if classes <= _LARGEST_INT16 else torch.int32
        return cls(largest.float(), index.to(small), rest.float(), classes)

    def at(self, rows: Tensor, device: torch.device) -> SparseLogits:
        """The logits of the samples at `rows`, int64 [n], on a device."""
        largest, index, tail = (gathered(each, rows, device) for each in (self.largest, self.index, self.tail))
        return SparseLogits(largest, index, tail, self.classes)

    def dense(self) -> Tensor:
        """float32 [n, classes], as losses see them."""
        return self.tail.unsqueeze(1).repeat(1, self.classes).scatter_(1, self.index.long(), self.largest)


def kept(keep: int | Literal["all"] | None, classes: int) -> int | None:
    """Number of logits that `teacher.keep` keeps of `classes`; None if it keeps all."""
    if keep is None:
        keep = AUTO_KEEP if classes > AUTO_ABOVE else "all"
    return None if keep == "all" or keep >= classes else keep


def sample_bytes(classes: int, keep: int | None) -> int:
    """Bytes that one view of a sample takes in the cache."""
    if keep is None:
        return 4 * classes
    return keep * (4 + (2 if classes <= _LARGEST_INT16 else 4)) + 4
