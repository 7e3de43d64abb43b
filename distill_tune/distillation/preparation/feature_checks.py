"""Check a space's feature losses before anything is trained: which layers they compare, and whether these fit.

As far as the teacher is known beforehand (one that is trained here is known by its family), errors are raised before it
is prepared; the rest once it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from distill_tune.config import Space
from distill_tune.config.corners import edges_of
from distill_tune.config.loss_corners import losses_in
from distill_tune.data import Dataset
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.devices import devices_to_try_on
from distill_tune.distillation.features.anatomy import Anatomy, anatomy_of
from distill_tune.distillation.features.pairing import Pairing, paired
from distill_tune.distillation.losses import FeatureLoss, Shape
from distill_tune.distillation.preparation.loss_checks import TRIED, what_is_wrong
from distill_tune.distillation.training.feature_terms import FeatureTerm
from distill_tune.errors import ConfigError, one_line
from distill_tune.students import Student, looked_at, student_on
from distill_tune.teachers import Teacher, family_trained_here
from distill_tune.users_faults import fault_of_users


def feature_losses(space: Space) -> list[tuple[str, FeatureLoss]]:
    """Name and loss for every feature loss of the space, in each variant that trials may use."""
    found = losses_in(space)
    return [(name, loss) for name, loss in found if isinstance(loss, FeatureLoss) and loss.reads_features]


def check_feature_losses(space: Space, dataset: Dataset) -> None:
    """Check the feature losses of a space before its teacher is prepared.

    Raises:
        ConfigError: the teacher has no layers, or a layer does not exist or cannot be compared with its counterpart.
    """
    losses, config = feature_losses(space), space.config
    if not losses:
        return
    source = Teacher.of(config.teacher)
    if not source.has_network:
        raise ConfigError(
            f"loss: {losses[0][0]!r} compares features, but source = {config.teacher.source!r} has only logits; name a "
            "teacher that can run, or choose another loss."
        )
    if not source.has_layers:
        raise ConfigError(
            f"loss: {losses[0][0]!r} compares features, but source = {config.teacher.source!r} gives a network that "
            "can only be called; name a teacher that PyTorch can read, or choose another loss."
        )
    if source.layers_by_family and config.teacher.family is None:
        raise ConfigError(
            f"loss: {losses[0][0]!r} compares features, but source = {config.teacher.source!r} shows its layers only "
            "as those of teacher.family, which is not set; set it, and its table, to what the teacher is, or choose "
            "another loss."
        )
    if source.member_configs():
        raise ConfigError(
            f"loss: {losses[0][0]!r} compares features, but source = {config.teacher.source!r} is several teachers, "
            "whose features are not each other's; name one teacher, or choose another loss."
        )
    if (family := family_trained_here(config.teacher)) is not None:
        layers_compared(space, dataset, anatomy_of_family(family, dataset))
        return
    for name, loss in losses:
        for name_of_family, student in _students(space, dataset):
            for layer in loss.student_layers:
                student.known(f"loss.{name}.student_layers", f"student {name_of_family!r}", layer)


def layers_compared(space: Space, dataset: Dataset, teacher: Anatomy) -> list[str]:
    """As `teacher_layers`, after trying custom losses on features of the layers that they compare.

    Raises:
        ConfigError: likewise, or a custom loss returns no number that can be minimised.
    """
    pairings = _pairings(space, dataset, teacher)
    for name, loss, pairing in pairings:
        if ":" in name and loss.uses_teacher:
            for device in devices_to_try_on(space.config):
                _try(name, loss, pairing, num_visible(dataset), device)
    return _layers(pairings)


def teacher_layers(space: Space, dataset: Dataset, teacher: Anatomy) -> list[str]:
    """The teacher's layers that trials of the space compare with, sorted.

    Raises:
        ConfigError: a student and the teacher have no layers that can be compared.
    """
    return _layers(_pairings(space, dataset, teacher))


_Pairings = list[tuple[str, FeatureLoss, Pairing]]


def _pairings(space: Space, dataset: Dataset, teacher: Anatomy) -> _Pairings:
    """The distinct pairings of each loss over all kinds of student."""
    losses = feature_losses(space)
    students = list(_students(space, dataset)) if losses else []
    found = _Pairings()
    for name, loss in losses:
        pairings = (paired(name, loss, ours, teacher, family) for family, ours in students)
        found += [(name, loss, pairing) for pairing in dict.fromkeys(pairings)]
    return found


def _layers(pairings: _Pairings) -> list[str]:
    return sorted({layer for _, _, pairing in pairings for layer in pairing.teacher})


def _try(name: str, loss: FeatureLoss, pairing: Pairing, samples: int, device: str) -> None:
    """Try a custom loss on made-up features, positive as after a ReLU, for the first few of `samples` samples."""
    draw, index = torch.Generator().manual_seed(0), torch.arange(min(TRIED, samples))
    ours, theirs = (
        [torch.randn(len(index), *shape, generator=draw).abs().to(device) for shape in shapes]
        for shapes in (pairing.student_shapes, pairing.teacher_shapes)
    )
    try:
        with torch.random.fork_rng(devices=[]):
            term = FeatureTerm(loss, pairing, samples).to(device)
        given = term.terms([each.requires_grad_() for each in ours], theirs, index.to(device), 0)
    except Exception as error:  # user code may raise anything
        raise ConfigError(
            f"loss: {name!r} cannot compare the student's {_shown(pairing.student, pairing.student_shapes)} with the "
            f"teacher's {_shown(pairing.teacher, pairing.teacher_shapes)}: {fault_of_users(error) or one_line(error)}"
        ) from error
    for each in given:
        if what := what_is_wrong(each, "the student's features"):
            raise ConfigError(
                f"loss: `compare` of {name!r} must give one number as a tensor, but gave {what}; mend it."
            )


def _shown(layers: Sequence[str], shapes: Sequence[Shape]) -> str:
    return ", ".join(f"{layer!r} {[TRIED, *shape]}" for layer, shape in zip(layers, shapes, strict=True))


def _students(space: Space, dataset: Dataset) -> Iterator[tuple[str, Anatomy]]:
    """Students at the edges of each family: all ranges at their first corner, all at their last, or one at another.

    Layers found automatically are paired from the end, so a student in between pairs the same as one of these.
    """
    for family in space.families:
        for config in map(space.at, edges_of(space, family)):
            yield family, anatomy_of_family(Student.of(config.student), dataset)


def anatomy_of_family(family: Student, dataset: Dataset) -> Anatomy:
    """The features of a network of this family, which is built temporarily."""
    return looked_at(lambda: anatomy_of(student_on(family, dataset), dataset.input_shape))
