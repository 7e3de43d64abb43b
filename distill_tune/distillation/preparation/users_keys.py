"""Translate errors about a teacher to the keys that the user wrote.

The training loop treats a teacher that is trained here as a student, and a source treats a member of an ensemble as the
only teacher.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from distill_tune.errors import ConfigError, TeacherError, TrainingError
from distill_tune.teachers import Say

_KEYS = {
    "student.": "teacher.",
    "augmentation.": "teacher.train.augmentation.",
    "optim.kind": "teacher.train.optimizer",
}
"""Keys of the teacher's own configuration, and where the user wrote them."""
_IN_CURES = (
    *("trust", "source", "train.learning_rate", "torch.arguments", "keras.custom_objects", "onnx.output"),
    *("huggingface.mean", "timm.classes"),
)
"""Keys that occur within a message, not only at its start; anything else that looks like a key may be a file name."""
_OF_A_TEACHER = re.compile(rf"^teacher(?=[.:])|\bteacher(?=\.(?:{'|'.join(map(re.escape, _IN_CURES))})\b)")
_BEGINNING = re.compile(r"^(warning: )?(?:teacher:? )?")
"""Of a line that the user is told: the mark of a warning, and whom it is about."""


@contextmanager
def said_of_the_teacher() -> Iterator[None]:
    """Re-raise the training loop's errors, in which the teacher is the student, as errors about the teacher."""
    try:
        yield
    except ConfigError as error:
        text = str(error)
        for ours, theirs in _KEYS.items():
            text = theirs + text.removeprefix(ours) if text.startswith(ours) else text
        raise TeacherError(text) from error
    except TrainingError as error:
        raise TeacherError(f"teacher.train: {error} Lower teacher.train.learning_rate.") from error


@contextmanager
def said_of_member(name: str) -> Iterator[None]:
    """Re-raise errors about a teacher as errors about the ensemble member `name`; "" is an only teacher."""
    try:
        yield
    except TeacherError as error:
        if not name:
            raise
        raise TeacherError(_OF_A_TEACHER.sub(table_of(name), str(error))) from error


def say_of_member(name: str, say: Say) -> Say:
    """`say` for lines about the ensemble member `name`, each of which names it; "" is an only teacher."""
    if not name:
        return say
    return lambda line: say(_OF_A_TEACHER.sub(table_of(name), _BEGINNING.sub(rf"\1teacher {name}: ", line, count=1)))


def table_of(name: str) -> str:
    """The table of the ensemble member `name`; `[teacher]` for an only teacher, ""."""
    return f"teacher.ensemble.members.{name}" if name else "teacher"
