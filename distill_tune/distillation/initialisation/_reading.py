"""Make a student that takes layers of its teacher normalise its inputs with the teacher's mean and deviation.

Weights are meaningful only for inputs like those they were trained on. A student is built with the training data's mean
and deviation; a teacher from elsewhere may have been trained with others.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill_tune.distillation.materials.materials import Materials
from distill_tune.errors import TeacherError

_NORMALISE = "normalise"


@torch.no_grad()
def read_as_the_teacher(student: nn.Module, materials: Materials) -> None:
    """Set the mean and deviation of the student's normalisation, in place, to the teacher's."""
    assert materials.teacher_weights is not None, "prepared for a space that needs them"
    theirs = materials.teacher_weights.state()
    for name, ours in student.get_submodule(_NORMALISE).named_buffers():
        if (wanted := theirs.get(f"{_NORMALISE}.{name}")) is not None:
            fitted = _fitted(wanted, len(ours))
            assert fitted is not None, "as `check_reading` says"
            ours.copy_(fitted)


def check_reading(init: str, input_shape: tuple[int, ...], teacher: nn.Module) -> None:
    """Check that a student on these data can normalise them as the teacher does.

    Raises:
        TeacherError: the teacher distinguishes channels that the data do not have.
    """
    for name, theirs in teacher.named_buffers():
        if name.startswith(f"{_NORMALISE}.") and _fitted(theirs, input_shape[0]) is None:
            raise TeacherError(
                f"student.init: {init!r} needs a student that reads images as the teacher does, but the teacher has "
                f"{len(theirs)} numbers for its {name.removeprefix(f'{_NORMALISE}.')} and the images have "
                f"{input_shape[0]} channel{'s' * (input_shape[0] > 1)}; set mean and std of the teacher's table to the "
                "same number for each channel, or choose another init."
            )


def _fitted(theirs: Tensor, channels: int) -> Tensor | None:
    """The teacher's values as [channels, ...], repeated if all are alike; None if they do not fit."""
    if len(theirs) == channels:
        return theirs
    first = theirs[:1]
    return first.expand(channels, *first.shape[1:]) if torch.equal(theirs, first.expand_as(theirs)) else None
