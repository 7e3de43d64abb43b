"""The feature terms of one training: their projectors and memories, and one module that combines them all.

The student and all projectors are one module with one forward pass, so data parallelism averages all of their
gradients. The student inside stays the bare student, whose weights are saved, exported and counted without the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.features.pairing import Pairing, paired
from distill_tune.distillation.features.tap import Tap
from distill_tune.distillation.losses import FeatureLoss

if TYPE_CHECKING:
    from distill_tune.distillation.materials.materials import Materials


class FeatureTerm(nn.Module):
    """One feature loss with its projector and its memory of a training's samples."""

    def __init__(self, loss: FeatureLoss, pairing: Pairing, samples: int = 0, seed: int = 0):
        """`samples` and `seed` are the training's."""
        super().__init__()
        self.loss, self.pairing = loss, pairing
        self.projector = loss.projector(pairing.student_shapes, pairing.teacher_shapes)
        self.memory = loss.memory(len(pairing.student), samples, seed)

    def forward(
        self, students: Sequence[Tensor], teachers: Sequence[Tensor], index: Tensor | None = None, batch_number: int = 0
    ) -> Tensor:
        """The mean over the pairs, a scalar; `index` and `batch_number` are for losses with a memory."""
        return torch.stack(self.terms(students, teachers, index, batch_number)).mean()

    def terms(
        self, students: Sequence[Tensor], teachers: Sequence[Tensor], index: Tensor | None, batch_number: int
    ) -> list[Tensor]:
        """The loss of each pair."""
        pairs = zip(students, teachers, strict=True) if self.projector is None else self.projector(students, teachers)
        if self.memory is not None:
            pairs = self.memory(pairs, index, batch_number)
        return [self.loss.compare(*pair) for pair in pairs]


class WithFeatures(nn.Module):
    """A student and the terms on its features, as one module."""

    def __init__(self, student: nn.Module, terms: Mapping[str, FeatureTerm], channels_last: Collection[str] = ()):
        """Put hooks on the student's layers; `close` removes them.

        `channels_last` are the layers whose feature maps have their channels last.
        """
        super().__init__()
        self.student = student
        self._names = tuple(terms)
        self.terms = nn.ModuleList(terms.values())
        pairings = [term.pairing for term in terms.values()]
        self._layers = sorted({layer for pairing in pairings for layer in pairing.student})
        self.teacher_layers = sorted({layer for pairing in pairings for layer in pairing.teacher})
        """The order in which `forward` expects the teacher's features."""
        self._ours = [[self._layers.index(layer) for layer in pairing.student] for pairing in pairings]
        self._theirs = [[self.teacher_layers.index(layer) for layer in pairing.teacher] for pairing in pairings]
        self._tap = Tap(student, self._layers, channels_last)

    def forward(
        self, inputs: Tensor, teacher_features: Sequence[Tensor], index: Tensor | None = None, batch_number: int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and each term's value by name, computed in float32 whatever the precision.

        Args:
            inputs: [batch, *input_shape].
            teacher_features: of `teacher_layers`, in that order, without gradient.
            index: int64 [batch]: indices of the training samples, for losses that remember them.
            batch_number: in the training, from 0, likewise.
        """
        logits, features = self._tap.run(self.student, inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            ours = [feature.float() for feature in features]
            values = {}
            for name, term, mine, theirs in zip(self._names, self.terms, self._ours, self._theirs, strict=True):
                values[name] = term([ours[i] for i in mine], [teacher_features[i] for i in theirs], index, batch_number)
        return logits, values

    def close(self) -> None:
        """Remove the hooks from the student."""
        self._tap.close()


def with_features(
    losses: Mapping[str, FeatureLoss], student: nn.Module, materials: Materials, seed: int = 0
) -> WithFeatures | None:
    """A student with the terms of `losses`, by name; None if there are none. `seed` is the training's.

    Raises:
        ConfigError: the student or the teacher has no such layers.
        CacheError: prepared for a space in which no loss compares features.
    """
    if not losses:
        return None
    device = next(student.parameters()).device
    ours, theirs = anatomy_of(student, materials.dataset.input_shape), materials.teacher_anatomy()
    samples = len(materials.labels)
    terms = {name: FeatureTerm(loss, paired(name, loss, ours, theirs), samples, seed) for name, loss in losses.items()}
    return WithFeatures(student, terms, ours.channels_last).to(device)
