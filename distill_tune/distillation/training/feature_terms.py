"""The terms on features of one training: which layers are compared, their projectors, and one module of it all.

The student and all projectors are one module with one forward pass, so data parallelism averages all their gradients;
the student inside stays the bare student, whose weights are saved, exported and counted alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from distill_tune.distillation.features.anatomy import Anatomy, anatomy_of
from distill_tune.distillation.features.tap import Tap, run_tapped
from distill_tune.distillation.losses import FeatureLoss, Shape
from distill_tune.errors import ConfigError

if TYPE_CHECKING:
    from distill_tune.distillation.materials.materials import Materials


@dataclass(frozen=True)
class Pairing:
    """The layers that a loss compares, each of the student with the teacher's in the same place."""

    student: tuple[str, ...]
    teacher: tuple[str, ...]
    student_shapes: tuple[Shape, ...]
    teacher_shapes: tuple[Shape, ...]
    """As the teacher's features are kept."""


def paired(name: str, loss: FeatureLoss, student: Anatomy, teacher: Anatomy, family: str | None = None) -> Pairing:
    """The layers that the loss called `name` compares in two networks: those that are named, else by themselves.

    `family` is the student's, for whoever reads an error.

    Raises:
        ConfigError: a layer does not exist, there is none to be found, or two cannot be joined.
    """
    whose = f"student {family!r}" if family else "student"
    ours = [student.known(f"loss.{name}.student_layers", whose, layer) for layer in loss.student_layers]
    theirs = [teacher.known(f"loss.{name}.teacher_layers", "teacher", layer) for layer in loss.teacher_layers]
    maps = loss.takes == "maps" or bool(student.maps and teacher.maps)
    ours = ours or _found(name, loss, whose, student, maps, len(theirs))
    theirs = theirs or _found(name, loss, "teacher", teacher, maps, len(ours))
    if loss.student_layers or loss.teacher_layers:
        _check_counts(name, ours, theirs)
    count = min(len(ours), len(theirs))
    pairing = _pairing(ours[-count:], theirs[-count:], student, teacher.kept())
    _check_joins(name, loss, pairing)
    return pairing


def _pairing(ours: list[str], theirs: list[str], student: Anatomy, teacher: Anatomy) -> Pairing:
    shapes = tuple(student.shapes[layer] for layer in ours), tuple(teacher.shapes[layer] for layer in theirs)
    return Pairing(tuple(ours), tuple(theirs), *shapes)


def _found(name: str, loss: FeatureLoss, whose: str, anatomy: Anatomy, maps: bool, count: int) -> list[str]:
    """The layers that are taken by themselves: `count` of them, from the end, or as many as the loss takes."""
    layers = _candidates(loss, anatomy, maps)
    if not layers:
        what = "feature map" if maps else "layer before the last"
        raise ConfigError(
            f"loss: {name!r} compares features, but the {whose} has no {what}; choose another loss, or another "
            f"{whose.partition(' ')[0]}.family."
        )
    few = 1 if loss.takes == "stage" else len(layers)
    return layers[-(count or few) :]


def _candidates(loss: FeatureLoss, anatomy: Anatomy, maps: bool) -> list[str]:
    last = [anatomy.last] if anatomy.last else []
    if loss.takes == "last":
        return last
    return list(anatomy.maps) if maps else list(anatomy.vectors) or last


def _check_counts(name: str, ours: list[str], theirs: list[str]) -> None:
    if len(ours) != len(theirs):
        raise ConfigError(
            f"loss.{name}.student_layers: {len(ours)} of the student and {len(theirs)} of the teacher cannot be paired "
            f"({', '.join(ours)}; {', '.join(theirs)}); name as many teacher_layers."
        )


def _check_joins(name: str, loss: FeatureLoss, pairing: Pairing) -> None:
    pairs = zip(pairing.student, pairing.teacher, pairing.student_shapes, pairing.teacher_shapes, strict=True)
    for ours, theirs, our_shape, their_shape in pairs:
        if not loss.joins(our_shape, their_shape):
            raise ConfigError(
                f"loss.{name}: needs two feature maps, but the student's {ours!r} is {_shown(our_shape)} and the "
                f"teacher's {theirs!r} is {_shown(their_shape)}; name other layers, or choose another loss."
            )


def _shown(shape: Shape) -> str:
    return " x ".join(map(str, shape)) if len(shape) > 1 else f"a vector of {shape[0]}"


class FeatureTerm(nn.Module):
    """One loss on features with what it has learned, and what it remembers of the samples of a training."""

    def __init__(self, loss: FeatureLoss, pairing: Pairing, samples: int = 0, seed: int = 0):
        """`samples` and `seed` are the training's."""
        super().__init__()
        self.loss, self.pairing = loss, pairing
        self.projector = loss.projector(pairing.student_shapes, pairing.teacher_shapes)
        self.memory = loss.memory(len(pairing.student), samples, seed)

    def forward(
        self, students: Sequence[Tensor], teachers: Sequence[Tensor], index: Tensor | None = None, batch_number: int = 0
    ) -> Tensor:
        """The mean over the pairs: scalar; `index` and `batch_number` are for what has a memory."""
        pairs = zip(students, teachers, strict=True) if self.projector is None else self.projector(students, teachers)
        if self.memory is not None:
            pairs = self.memory(pairs, index, batch_number)
        terms = [self.loss.compare(*pair) for pair in pairs]
        return torch.stack(terms).mean()


class WithFeatures(nn.Module):
    """A student and the terms on its features, as one module."""

    def __init__(self, student: nn.Module, terms: Mapping[str, FeatureTerm]):
        """Put hooks on the student's layers; `close` takes them off."""
        super().__init__()
        self.student = student
        self._names = tuple(terms)
        self.terms = nn.ModuleList(terms.values())
        pairings = [term.pairing for term in terms.values()]
        self._layers = sorted({layer for pairing in pairings for layer in pairing.student})
        self.teacher_layers = sorted({layer for pairing in pairings for layer in pairing.teacher})
        """The order in which `forward` wants the teacher's features."""
        self._ours = [[self._layers.index(layer) for layer in pairing.student] for pairing in pairings]
        self._theirs = [[self.teacher_layers.index(layer) for layer in pairing.teacher] for pairing in pairings]
        self._tap = Tap(student, self._layers)

    def forward(
        self, inputs: Tensor, teacher_features: Sequence[Tensor], index: Tensor | None = None, batch_number: int = 0
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits, and the name of each term to its value, computed in float32 whatever the precision.

        Args:
            inputs: [batch, *input_shape].
            teacher_features: of `teacher_layers`, in that order, without gradient.
            index: int64 [batch]: which of the training samples these are, for a loss that remembers them.
            batch_number: of the training, from 0 on, likewise.
        """
        logits, features = self._tap.run(self.student, inputs)
        with torch.autocast(inputs.device.type, enabled=False):
            ours = [feature.float() for feature in features]
            values = {}
            for name, term, mine, theirs in zip(self._names, self.terms, self._ours, self._theirs, strict=True):
                values[name] = term([ours[i] for i in mine], [teacher_features[i] for i in theirs], index, batch_number)
        return logits, values

    def close(self) -> None:
        """Take the hooks off the student."""
        self._tap.close()


def with_features(
    losses: Mapping[str, FeatureLoss], student: nn.Module, materials: Materials, seed: int = 0
) -> WithFeatures | None:
    """A student with the terms of `losses`, by their names; None where there are none. `seed` is the training's.

    Raises:
        ConfigError: the student, or the teacher, has no such layers.
        CacheError: prepared for a space in which no loss compares features.
    """
    if not losses:
        return None
    device = next(student.parameters()).device
    ours, theirs = anatomy_of(student, materials.dataset.input_shape), materials.teacher_anatomy()
    samples = len(materials.labels)
    terms = {name: FeatureTerm(loss, paired(name, loss, ours, theirs), samples, seed) for name, loss in losses.items()}
    return WithFeatures(student, terms).to(device)


class LiveTeacher:
    """A teacher that runs beside the student."""

    def __init__(self, module: nn.Module, layers: Sequence[str]):
        self._module, self._tap = module, Tap(module, layers)

    def __call__(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Its logits, and the features of its layers as a cache has them, but for the rounding."""
        return run_tapped(self._tap, self._module, inputs)

    def close(self) -> None:
        """Take the hooks off: the teacher is the next trial's too."""
        self._tap.close()
