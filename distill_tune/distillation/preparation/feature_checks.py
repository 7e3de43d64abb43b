"""What a space asks of features, looked at before anything is trained: which layers, and do they fit.

As far as the teacher is known beforehand (one that is trained here is, by its family) everything is refused before it
is made ready; what only a loaded teacher can tell is refused once it is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from distill_tune.config import Space
from distill_tune.config.corners import edges_of
from distill_tune.data import Dataset
from distill_tune.distillation.features.anatomy import Anatomy, anatomy_of
from distill_tune.distillation.features.pairing import paired
from distill_tune.distillation.losses import FeatureLoss
from distill_tune.distillation.preparation.loss_checks import losses_in
from distill_tune.errors import ConfigError
from distill_tune.students import Student, looked_at, student_on
from distill_tune.teachers import Teacher, family_trained_here


def feature_losses(space: Space) -> list[tuple[str, FeatureLoss]]:
    """Name and loss for everything that trials of the space compare features by, in each way that they may."""
    found = losses_in(space)
    return [(name, loss) for name, loss in found if isinstance(loss, FeatureLoss) and loss.reads_features]


def check_feature_losses(space: Space, dataset: Dataset) -> None:
    """Look at the losses on features of a space before its teacher is made ready.

    Raises:
        ConfigError: the teacher has no layers, or one is not there, or cannot be compared with its counterpart.
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
    if source.member_configs():
        raise ConfigError(
            f"loss: {losses[0][0]!r} compares features, but source = {config.teacher.source!r} is several teachers, "
            "whose features are not each other's; name one teacher, or choose another loss."
        )
    if (family := family_trained_here(config.teacher)) is not None:
        teacher_layers(space, dataset, anatomy_of_family(family, dataset))
        return
    for name, loss in losses:
        for name_of_family, student in _students(space, dataset):
            for layer in loss.student_layers:
                student.known(f"loss.{name}.student_layers", f"student {name_of_family!r}", layer)


def teacher_layers(space: Space, dataset: Dataset, teacher: Anatomy) -> list[str]:
    """Those layers of the teacher that trials of the space compare with, sorted.

    Raises:
        ConfigError: a student and the teacher have no layers that can be compared.
    """
    losses = feature_losses(space)
    students = list(_students(space, dataset)) if losses else []
    pairings = [paired(name, loss, ours, teacher, family) for name, loss in losses for family, ours in students]
    return sorted({layer for pairing in pairings for layer in pairing.teacher})


def _students(space: Space, dataset: Dataset) -> Iterator[tuple[str, Anatomy]]:
    """The edges of each family: all ranges at their first corner, all at their last, and each at every corner between.

    What trials pair by themselves they pair from the end, and so a student in between pairs what one of these does.
    """
    for family in space.families:
        for config in map(space.at, edges_of(space, family)):
            yield family, anatomy_of_family(Student.of(config.student), dataset)


def anatomy_of_family(family: Student, dataset: Dataset) -> Anatomy:
    """The features of a network of this family, which is made for a moment."""
    return looked_at(lambda: anatomy_of(student_on(family, dataset), dataset.input_shape))
