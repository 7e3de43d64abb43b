"""An epoch's batches: tensors by index, no loader and no loader's processes.

The order of an epoch is a pure function of (seed, epoch, pass), so a resumed run sees what an undisturbed one sees, and
rank r of w takes the r-th part of each batch, so w workers together see what one sees. Samples are gathered, augmented
and matched with the teacher's outputs some steps at a time: a gather a step costs more than it moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distill_tune.distillation.teacher_cache import TeacherOutputs
from distill_tune.distillation.views import Views

UNLABELLED = -1
"""The label of a sample that takes part through the teacher alone."""

_CHUNK_SAMPLES = 4096


@dataclass(frozen=True)
class Batch:
    """What one step of one worker sees."""

    inputs: Tensor
    """[batch, *input_shape]: in stored units, or float32 where samples were mixed."""
    labels: Tensor
    """int64 [batch]."""
    teacher_logits: Tensor | None
    """float32 [batch, classes], raw; None without a teacher or where it runs live."""
    partner_labels: Tensor | None
    share: Tensor | None
    """float32 [batch]: weight of `labels` against `partner_labels`."""
    all_labelled: bool


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this worker trains on."""

    rank: int = 0
    world_size: int = 1


class Batches:
    """The training samples that a student may see, epoch by epoch."""

    def __init__(
        self,
        views: Views,
        labels: Tensor,
        teacher: TeacherOutputs | None,
        batch_size: int,
        seed: int,
        passes: int = 1,
        shard: Shard | None = None,
    ):
        self._views, self._labels = views, labels
        self._num_views = teacher.num_views if teacher is not None else 0
        self._teacher = teacher if self._num_views else None
        self._batch_size = min(batch_size, len(labels))
        self._seed, self._passes, self._shard = seed, passes, shard or Shard()
        self._all_labelled = bool((labels != UNLABELLED).all())

    @property
    def steps_per_epoch(self) -> int:
        """Steps an epoch; what does not fill a last batch waits for the next order."""
        return self._passes * (len(self._labels) // self._batch_size)

    @property
    def samples_per_epoch(self) -> int:
        """Samples an epoch, over all workers together."""
        return self.steps_per_epoch * self._batch_size

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of epoch 1, 2, ...; each pass over the data shows the next view."""
        for turn in range((epoch - 1) * self._passes, epoch * self._passes):
            view = turn % self._num_views if self._num_views else turn
            order = self._order(turn)
            size = max(1, _CHUNK_SAMPLES // order.shape[1])
            for rows in order.split(size):
                yield from self._chunk(rows, view)

    def _order(self, turn: int) -> Tensor:
        """int64 [steps, batch of this worker]."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + turn)
        steps = len(self._labels) // self._batch_size
        order = torch.randperm(len(self._labels), generator=generator)[: steps * self._batch_size]
        part = self._batch_size // self._shard.world_size
        return order.view(steps, self._batch_size)[:, self._shard.rank * part : (self._shard.rank + 1) * part]

    def _chunk(self, rows: Tensor, view: int) -> Iterator[Batch]:
        index = rows.flatten().to(self._labels.device)
        mixed = self._views.take(index, view)
        columns = (
            mixed.inputs,
            self._labels[index],
            None if self._teacher is None else self._teacher.logits(view)[index],
            None if mixed.partner is None else self._labels[mixed.partner],
            mixed.share,
        )
        size = rows.shape[1]
        split: list[Any] = [[None] * len(rows) if column is None else column.split(size) for column in columns]
        for inputs, labels, logits, partner_labels, share in zip(*split, strict=True):
            yield Batch(inputs, labels, logits, partner_labels, share, self._all_labelled)
