"""The batches of several runs, stacked for their lanes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from distill_tune.data import UNLABELLED
from distill_tune.distillation.materials.batches import Batch
from distill_tune.distillation.training.run import Run

_CHUNK_SAMPLES = 4096
"""Samples per lane that are prepared at a time."""
_CHUNK_BYTES = 1 << 24
"""Maximum bytes of the inputs of all lanes together, as floats."""


class Side(NamedTuple):
    """One label per sample; mixed samples have two sides."""

    labels: Tensor
    """int64 [lanes, 1, batch]; an arbitrary class for unlabelled samples."""
    weight: Tensor | None
    """float32 [lanes, 1, batch]: 0 for unlabelled samples; None if all are 1."""


class LaneBatch(NamedTuple):
    """The batch of one step of all lanes."""

    inputs: Tensor
    """float32 [lanes, batch, features], normalised."""
    sides: Sequence[Side]
    labels: Tensor | None
    """int64 [lanes, batch], negative if unlabelled; None if inputs were mixed."""
    teachers: list[Tensor]
    """Per group of lanes that use the teacher: its logits, [lanes of the group, batch, classes]."""


def lane_batches(
    runs: Sequence[Run], normalise: nn.Module, features: int, groups: Sequence[Sequence[int]]
) -> Iterator[LaneBatch]:
    """The current epoch of all runs, step by step; `groups` are the numbers of lanes that use the teacher."""
    samples = min(_CHUNK_SAMPLES, _CHUNK_BYTES // (4 * features * len(runs)))
    for chunks in zip(*(run.batches.chunks(run.epoch, samples) for run in runs), strict=True):
        inputs = normalise(torch.stack([chunk.inputs for chunk in chunks], 1)).flatten(3)
        labels = torch.stack([chunk.labels for chunk in chunks], 1)
        sides = _sides(chunks, labels)
        teachers = [torch.stack([_logits(chunks[lane]) for lane in lanes], 1).unbind() for lanes in groups]
        told: Any = repeat(None) if chunks[0].share is not None else labels
        for step, columns in enumerate(zip(inputs, zip(*sides, strict=True), told, strict=False)):
            yield LaneBatch(*columns, [own[step] for own in teachers])


def _logits(chunk: Batch) -> Tensor:
    assert chunk.teacher_logits is not None, "a lane that looks at the teacher"
    return chunk.teacher_logits


def _sides(chunks: Sequence[Batch], labels: Tensor) -> list[list[Side]]:
    """For each of the one or two labels per sample, its sides step by step."""
    some_unknown = any(chunk.labelled_share < 1 for chunk in chunks)
    if chunks[0].share is None:
        return [_side(labels, None, some_unknown)]
    mixed: Any = [(chunk.share, chunk.partner_labels) for chunk in chunks]
    share, partners = (torch.stack(column, 1) for column in zip(*mixed, strict=True))
    return [_side(labels, share, some_unknown), _side(partners, 1 - share, some_unknown)]


def _side(labels: Tensor, weight: Tensor | None, some_unknown: bool) -> list[Side]:
    """The `Side` of each step, from labels and weights [steps, lanes, batch]."""
    if some_unknown:
        known = (labels != UNLABELLED).float()
        labels, weight = labels.clamp(min=0), known if weight is None else weight * known
    weights: Any = repeat(None) if weight is None else weight.unsqueeze(2)
    return [Side(*pair) for pair in zip(labels.unsqueeze(2), weights, strict=False)]
