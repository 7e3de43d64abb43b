"""Lanes validated together: what `training/validation.py` counts for one student, counted for all at once.

Logits are stored class by class here, so the maximum over classes compares adjacent samples at once. Finding its class
(argmax) would take forty times as long and is not needed: a sample is right if its label's logit is the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill_tune.distillation.lanes.network import LaneNetwork
from distill_tune.distillation.training.run import Run
from distill_tune.distillation.training.validation import Sums

_VALUES = 1 << 20
"""Maximum values in all lanes' inputs or logits of one portion: fewer cost more calls, more exceed the CPU cache."""


class LaneValidation(NamedTuple):
    """Validation samples that all lanes have in common."""

    inputs: Tensor
    """[n, *input_shape], as stored."""
    labels: Tensor
    """int64 [n]."""
    teachers: list[Tensor | None]
    """Per lane, its teacher's predicted classes, int64 [n]."""

    @classmethod
    def of(cls, runs: Sequence[Run]) -> LaneValidation | None:
        """The samples of these runs; None if they are validated on different ones."""
        first = runs[0].materials
        if any(_place(run) != _place(runs[0]) for run in runs):
            return None
        logits = [None if (own := run.materials.teacher) is None else own.validation for run in runs]
        classes = {id(each): each.argmax(1) for each in {id(own): own for own in logits if own is not None}.values()}
        teachers = [None if own is None else classes[id(own)] for own in logits]
        return cls(first.validation_inputs, first.validation_labels, teachers)

    @torch.inference_mode()
    def sums(self, network: LaneNetwork, normalise: nn.Module) -> list[Sums]:
        """The validation sums of each lane."""
        lanes, counts = len(self.teachers), torch.bincount(self.labels).double()
        losses, agreed = torch.zeros(2, lanes, dtype=torch.float64, device=counts.device).unbind()
        hits = counts.new_zeros(lanes, len(counts))
        taught = torch.stack([self.labels if own is None else own for own in self.teachers])
        step = max(1, _VALUES // (lanes * max(self.inputs[0].numel(), network.num_classes)))
        for start in range(0, len(self.inputs), step):
            some = slice(start, start + step)
            labels = self.labels[some].expand(lanes, -1)
            inputs = normalise(self.inputs[some].to(labels.device)).flatten(1)
            logits = network.forward(inputs.expand(lanes, -1, -1)).mT
            right, agrees = _are(logits, labels, taught[:, some])
            losses -= logits.log_softmax(1).gather(1, labels.unsqueeze(1)).sum((1, 2))
            agreed += agrees.sum(1)
            hits.scatter_add_(1, labels, right.double())
            network.rest()  # the last portion may be smaller
        told = zip(losses.tolist(), agreed.tolist(), hits.cpu(), self.teachers, strict=True)
        return [Sums(loss, None if own is None else same, each, counts.cpu()) for loss, same, each, own in told]


def _place(run: Run) -> tuple[object, ...]:
    """Identifies a run's validation samples by their memory."""
    inputs, labels = run.materials.validation_inputs, run.materials.validation_labels
    return inputs.data_ptr(), inputs.shape, labels.data_ptr()


def _are(logits: Tensor, *classes: Tensor) -> list[Tensor]:
    """For each of `classes`, [lanes, n], whether its logit is the largest of [lanes, classes, n]: bool [lanes, n]."""
    largest = logits.amax(1, keepdim=True)
    has_one_each = int((logits == largest).count_nonzero()) == largest.numel()
    if has_one_each and not largest.isnan().any():  # NaN has no equal, and ties elsewhere may offset it
        return [(logits.gather(1, each.unsqueeze(1)) == largest).squeeze(1) for each in classes]
    predicted = logits.argmax(1)  # takes the first of ties, and handles NaN
    return [predicted == each for each in classes]
