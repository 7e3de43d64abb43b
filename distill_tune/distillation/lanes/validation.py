"""Lanes validated together: what `training/validation.py` counts of one student, counted of all at once.

Logits lie class by class here, so the largest of each sample is found among neighbours. To name its class would take
forty times as long, and is not needed: a sample is right where the logit of its label is the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from distill_tune.distillation.lanes.network import LaneNetwork
from distill_tune.distillation.training.run import Run
from distill_tune.distillation.training.validation import Sums

_VALUES = 1 << 18
"""In all lanes' inputs of one portion: what lies between the layers then fits into a processor's cache."""


class LaneValidation(NamedTuple):
    """Validation samples that all lanes have in common."""

    inputs: Tensor
    """[n, *input_shape], as they are stored."""
    labels: Tensor
    """int64 [n]."""
    teachers: list[Tensor | None]
    """Of each lane: its teacher's classes, int64 [n]."""

    @classmethod
    def of(cls, runs: Sequence[Run]) -> LaneValidation | None:
        """None where the runs are validated on different samples."""
        first = runs[0].materials
        if any(_place(run) != _place(runs[0]) for run in runs):
            return None
        logits = [None if (own := run.materials.teacher) is None else own.validation for run in runs]
        classes = {id(each): each.argmax(1) for each in {id(own): own for own in logits if own is not None}.values()}
        teachers = [None if own is None else classes[id(own)] for own in logits]
        return cls(first.validation_inputs, first.validation_labels, teachers)

    @torch.inference_mode()
    def sums(self, network: LaneNetwork, normalise: torch.nn.Module) -> list[Sums]:
        """Of each lane."""
        counts = torch.bincount(self.labels).double()
        inputs, lanes = normalise(self.inputs).flatten(1), len(self.teachers)
        is_of = F.one_hot(self.labels, len(counts)).double()
        taught = torch.stack([self.labels if own is None else own for own in self.teachers])
        losses, agreed, hits = (
            inputs.new_zeros(shape, dtype=torch.float64) for shape in (lanes, lanes, (lanes, len(counts)))
        )
        step = max(1, _VALUES // (lanes * inputs.shape[1]))
        for start in range(0, len(inputs), step):
            some = slice(start, start + step)
            logits = network.forward(inputs[some].expand(lanes, -1, -1)).mT
            labels, right, agrees = (
                self.labels[some].expand(lanes, 1, -1),
                *_are(logits, self.labels[some], taught[:, some]),
            )
            losses -= logits.log_softmax(1).gather(1, labels).sum((1, 2))
            agreed += agrees.sum(1)
            hits += right.double() @ is_of[some]
            network.rest()  # the last portion may be smaller
        told = zip(losses.tolist(), agreed.tolist(), hits.cpu(), self.teachers, strict=True)
        return [Sums(loss, None if own is None else same, each, counts.cpu()) for loss, same, each, own in told]


def _place(run: Run) -> tuple[object, ...]:
    """Where its validation samples are."""
    inputs, labels = run.materials.validation_inputs, run.materials.validation_labels
    return inputs.data_ptr(), inputs.shape, labels.data_ptr()


def _are(logits: Tensor, *classes: Tensor) -> list[Tensor]:
    """Where logits, [lanes, classes, n], are largest at each of the classes, [n] or [lanes, n]: bool [lanes, n]."""
    asked = [each.expand(len(logits), -1).unsqueeze(1) for each in classes]
    largest = logits.amax(1, keepdim=True)
    if int((logits == largest).count_nonzero()) == largest.numel():
        return [(logits.gather(1, each) == largest).squeeze(1) for each in asked]
    predicted = logits.argmax(1, keepdim=True)  # of equal ones the first; or not all are numbers
    return [(predicted == each).squeeze(1) for each in asked]
