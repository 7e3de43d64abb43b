"""A memory of student and teacher embeddings, one row per training sample, from which negatives are drawn.

Wu, Xiong, Yu, Lin, "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018,
https://arxiv.org/abs/1805.01978; with one bank per network: Tian, Krishnan, Isola, ICLR 2020. This module imports
torch, so losses import it inside `memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill_tune.distillation.data_parallel import Shared, of_all_workers
from distill_tune.distillation.devices import sent
from distill_tune.distillation.losses._projectors import Pair
from distill_tune.distillation.seeds import seed_of

_KEPT = 0.5
"""Share of a row kept when its sample is next visited: the papers' momentum."""


class Remembered(NamedTuple):
    """Entries of the other network's bank that an embedding is compared with; all without gradient."""

    partners: Tensor
    """[batch, dimensions]: embeddings of the same samples before this batch."""
    negatives: Tensor
    """[negatives, dimensions]."""
    log_mean: Tensor
    """Scalar: log of the mean of exp(<., negative> / tau) in the first batch.

    Times the number of samples, that mean is the constant Z of noise-contrastive estimation.
    """


class Memory(Shared):
    """Two banks per pair, with rows of length 1 that start as random directions.

    All workers hold the same banks: each batch updates the rows of all workers' samples, and all draw the same
    negatives.
    """

    students: Tensor
    """[pairs, samples, dimensions]."""
    teachers: Tensor
    """[pairs, samples, dimensions]."""
    log_means: Tensor
    """[pairs, 2]: `Remembered.log_mean` of student and teacher."""

    def __init__(self, pairs: int, samples: int, dimensions: int, negatives: int, tau: float, seed: int):
        super().__init__()
        self._samples, self._negatives, self._tau, self._seed = samples, negatives, tau, seed
        generator = torch.Generator().manual_seed(seed_of(seed, "memory"))
        for name in ("students", "teachers"):
            directions = torch.randn(pairs, samples, dimensions, generator=generator)
            self.register_buffer(name, nn.functional.normalize(directions, dim=-1))
        self.register_buffer("log_means", torch.zeros(pairs, 2))

    def drawn(self, batch_number: int) -> Tensor:
        """int64 [negatives]: rows drawn uniformly for a batch; they depend only on its number and the seed."""
        generator = torch.Generator().manual_seed(seed_of(self._seed, batch_number, "negatives"))
        rows = torch.randint(self._samples, (self._negatives,), generator=generator)
        return sent(rows, self.students.device)

    def forward(
        self, pairs: Sequence[Pair], index: Tensor, batch_number: int
    ) -> list[tuple[Tensor, Tensor, Remembered, Remembered]]:
        """Add to each pair of embeddings what it is compared with, and remember the embeddings for later batches.

        Args:
            pairs: (student, teacher), each [batch, dimensions] of length 1.
            index: int64 [batch]: distinct numbers of their training samples.
            batch_number: number of the batch in the training, from 0.

        Returns:
            (student, teacher, what the student is compared with, what the teacher is compared with) per pair.
        """
        rows, found = self.drawn(batch_number), []
        for (student, teacher), students, teachers, log_means in zip(
            pairs, self.students, self.teachers, self.log_means, strict=True
        ):
            theirs, ours = teachers[rows], students[rows]
            if batch_number == 0:
                log_means[0], log_means[1] = self._log_mean(student, theirs), self._log_mean(teacher, ours)
            with_teacher = Remembered(teachers[index], theirs, log_means[0].clone())
            found.append((student, teacher, with_teacher, Remembered(students[index], ours, log_means[1].clone())))
        self._remember(pairs, of_all_workers(index))
        return found

    @torch.no_grad()
    def _log_mean(self, embeddings: Tensor, negatives: Tensor) -> Tensor:
        scores = embeddings @ negatives.mT / self._tau
        of_workers = of_all_workers(scores.logsumexp((0, 1))[None])  # their parts of a batch are equally large
        return of_workers.logsumexp(0) - log(len(of_workers) * scores.numel())

    @torch.no_grad()
    def _remember(self, pairs: Sequence[Pair], index: Tensor) -> None:
        for pair, *banks in zip(pairs, self.students, self.teachers, strict=True):
            for embeddings, bank in zip(pair, banks, strict=True):
                moved = _KEPT * bank[index] + (1 - _KEPT) * of_all_workers(embeddings)
                bank[index] = nn.functional.normalize(moved, dim=1)
