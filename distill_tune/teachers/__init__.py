"""Teachers: the sources of their outputs, one per file."""

from distill_tune.teachers._base import (
    DataSpec,
    LoadedTeacher,
    Say,
    Teacher,
    TeacherContext,
    Trained,
    existing_file,
    family_trained_here,
    unread_keys,
)

__all__ = [
    "DataSpec",
    "LoadedTeacher",
    "Say",
    "Teacher",
    "TeacherContext",
    "Trained",
    "existing_file",
    "family_trained_here",
    "unread_keys",
]
