"""Pair the layers of student and teacher that a feature loss compares: those named, or else found automatically."""

from __future__ import annotations

from dataclasses import dataclass

from distill_tune.distillation.features.anatomy import Anatomy
from distill_tune.distillation.losses import FeatureLoss, Shape
from distill_tune.errors import ConfigError


@dataclass(frozen=True)
class Pairing:
    """The layers that a loss compares: each of the student's with the teacher's at the same index."""

    student: tuple[str, ...]
    teacher: tuple[str, ...]
    student_shapes: tuple[Shape, ...]
    teacher_shapes: tuple[Shape, ...]
    """Shapes in which the teacher's features are stored."""


def paired(name: str, loss: FeatureLoss, student: Anatomy, teacher: Anatomy, family: str | None = None) -> Pairing:
    """The layers that the loss called `name` compares in two networks: those named, or else found automatically.

    `family` is the student's, for error messages.

    Raises:
        ConfigError: a layer does not exist, none can be found, or two cannot be compared.
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
    """Layers chosen automatically, from the end: `count` of them, or if that is 0 as many as the loss takes."""
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
