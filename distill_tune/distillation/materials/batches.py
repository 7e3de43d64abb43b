"""An epoch's batches: tensors indexed directly, without a data loader and its processes.

The order of an epoch is a pure function of (seed, epoch, pass), so a resumed run sees what an uninterrupted one sees.
Rank r of w takes the r-th part of each batch, so w workers together see what one sees. Samples are gathered, augmented
and matched with the teacher's outputs several steps at a time: a gather per step would cost more than the copying.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from distill_tune.data import UNLABELLED
from distill_tune.distillation.cache.features import TeacherFeatures
from distill_tune.distillation.cache.outputs import Outputs
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.devices import gathered, sent
from distill_tune.distillation.seeds import seed_of
from distill_tune.distillation.views import Views
from distill_tune.errors import ConfigError

_CHUNK_SAMPLES = 4096
_CHUNK_BYTES = 1 << 24
"""Bytes of a chunk's inputs as stored; mixing needs about four times as many floats."""


class Batch(NamedTuple):
    """What one step of one worker sees."""

    inputs: Tensor
    """[batch, *input_shape]: in stored units; float32 if samples were blended."""
    labels: Tensor
    """int64 [batch]."""
    teacher_logits: Tensor | None
    """float32 [batch, classes], raw; None without a teacher or if it runs live."""
    partner_labels: Tensor | None
    """int64 [batch] if samples were mixed."""
    share: Tensor | None
    """float32 [batch]: weight of `labels` against `partner_labels`."""
    labelled_share: float
    """Share of labelled samples among all that a view may show, not in this batch; 1 if every label is known."""
    teacher_features: tuple[Tensor, ...] = ()
    """float32 [batch, *shape] per layer that the loss compares; empty if the teacher runs live."""
    rows: Tensor | None = None
    """int64 [batch]: indices of the samples among all that a student may see; None in `chunks`."""


class Batches:
    """The training samples that a student may see, epoch by epoch."""

    def __init__(
        self,
        views: Views,
        labels: Tensor,
        teacher: Outputs | None,
        batch_size: int,
        seed: int,
        passes: int = 1,
        shard: Shard | None = None,
        features: TeacherFeatures | None = None,
    ):
        """`teacher` is None, or has no views, if its logits are not to be replayed.

        Raises:
            ConfigError: a batch has fewer samples than there are workers.
        """
        self._views, self._labels, self._seed, self._passes = views, labels, seed, passes
        self._teacher = teacher if teacher is not None and teacher.num_views else None
        self._features = features
        self._shard = shard or Shard()
        self._part = min(batch_size, len(labels)) // self._shard.world_size
        if not self._part:
            raise ConfigError(
                f"optim.batch_size: {self._shard.world_size} workers need a sample each, but a batch has "
                f"{min(batch_size, len(labels))}; lower resources.workers_per_trial."
            )
        sample_bytes = views.sample_bytes + (0 if features is None else features.sample_bytes)
        samples = min(_CHUNK_SAMPLES, _CHUNK_BYTES // sample_bytes)
        self._steps_per_chunk = max(1, samples // self._part)
        self._labelled_share = (labels != UNLABELLED).double().mean().item()

    @property
    def batch_size(self) -> int:
        """Samples per step over all workers, in equal parts: `optim.batch_size`, or all samples if there are fewer."""
        return self._part * self._shard.world_size

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch; samples that do not fill a last batch are left out of that pass."""
        return self._passes * (len(self._labels) // self.batch_size)

    @property
    def samples_per_epoch(self) -> int:
        """Samples per epoch, over all workers together."""
        return self.steps_per_epoch * self.batch_size

    @property
    def labelled_share(self) -> float:
        """Share of all samples that have a label, the same as in every `Batch`."""
        return self._labelled_share

    @property
    def passes(self) -> int:
        """Passes over the samples per epoch; a chunk never spans two."""
        return self._passes

    @property
    def mixes(self) -> bool:
        """Whether batches have partners' labels."""
        return self._views.mixes

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of epoch 1, 2, ...; each pass over the data shows the next view."""
        for turn, view in self._turns(epoch):
            for rows in self._order(turn).split(self._steps_per_chunk):
                yield from self._chunk(rows, view)

    def chunks(self, epoch: int, samples: int) -> Iterator[Batch]:
        """The same batches without features, stacked to [steps, batch, ...]: up to `samples`, but at least one step."""
        for turn, view in self._turns(epoch):
            for rows in self._order(turn).split(max(1, samples // self._part)):
                columns = self._columns(rows.flatten(), view)
                shaped: Any = (None if c is None else c.unflatten(0, rows.shape) for c in columns)
                yield Batch._make((*shaped, self._labelled_share, (), None))

    def _turns(self, epoch: int) -> Iterator[tuple[int, int]]:
        """Yield each pass of an epoch: its number in the training and its view, which cycles over a teacher's views."""
        for turn in range((epoch - 1) * self._passes, epoch * self._passes):
            yield turn, turn if self._teacher is None else turn % self._teacher.num_views

    def _order(self, turn: int) -> Tensor:
        """int64 [steps, batch of this worker]."""
        generator = torch.Generator().manual_seed(seed_of(self._seed, turn, "order"))
        order = torch.randperm(len(self._labels), generator=generator)
        steps = order[: len(order) // self.batch_size * self.batch_size].view(-1, self.batch_size)
        return steps[:, self._shard.rank * self._part : (self._shard.rank + 1) * self._part]

    def _chunk(self, rows: Tensor, view: int) -> Iterator[Batch]:
        index = rows.flatten()
        columns, there = self._columns(index, view), sent(index, self._labels.device)
        split: list[Any] = [[None] * len(rows) if column is None else column.split(self._part) for column in columns]
        features = self._features_of(index, view, len(rows))
        for (inputs, labels, logits, partner_labels, share), layers, own in zip(
            zip(*split, strict=True), features, there.split(self._part), strict=True
        ):
            yield Batch(inputs, labels, logits, partner_labels, share, self._labelled_share, layers, own)

    def _columns(self, index: Tensor, view: int) -> tuple[Tensor | None, ...]:
        """The first fields of a `Batch` that hold one value per sample, in its order, without features.

        The index stays on the CPU, where it was drawn: on a GPU, indexing anything that is not there would block.
        """
        mixed = self._views.take(index, view, self._labels.device)
        return (
            mixed.inputs,
            gathered(self._labels, index, self._labels.device),
            None if self._teacher is None else self._teacher.take(view, index),
            None if mixed.partner is None else self._labels[mixed.partner],
            mixed.share,
        )

    def _features_of(self, index: Tensor, view: int, steps: int) -> Iterable[tuple[Tensor, ...]]:
        """The teacher's features for each step of a chunk."""
        if self._features is None:
            return ((),) * steps
        return zip(*(layer.split(self._part) for layer in self._features.at(view, index)), strict=True)
