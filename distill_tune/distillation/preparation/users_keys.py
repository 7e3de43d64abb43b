"""Errors about a teacher speak of the keys that the user wrote.

To our own loop a teacher that is trained here is a student, and to its source one of several is the only one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from distill_tune.errors import ConfigError, TeacherError, TrainingError

_KEYS = {
    "student.": "teacher.",
    "augmentation.": "teacher.train.augmentation.",
    "optim.kind": "teacher.train.optimizer",
}
"""Where the user wrote what the teacher's own configuration has elsewhere."""
_IN_CURES = (
    *("trust", "source", "train.learning_rate", "torch.arguments", "keras.custom_objects", "onnx.output"),
    "huggingface.mean",
)
"""Keys that are named in a message but not at its beginning; whatever else looks like one may be a file's name."""
_OF_A_TEACHER = re.compile(rf"^teacher\.|\bteacher\.(?=(?:{'|'.join(map(re.escape, _IN_CURES))})\b)")


@contextmanager
def said_of_the_teacher() -> Iterator[None]:
    """Within it, what is raised of the student that a teacher is to our own loop is raised of the teacher."""
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
    """Within it, what is raised of a teacher is raised of the member of several that is called so; "": the only one."""
    try:
        yield
    except TeacherError as error:
        if not name:
            raise
        raise TeacherError(_OF_A_TEACHER.sub(f"{table_of(name)}.", str(error))) from error


def table_of(name: str) -> str:
    """The table of the member of several teachers that is called so; of the only one, "", it is `[teacher]`."""
    return f"teacher.ensemble.members.{name}" if name else "teacher"
