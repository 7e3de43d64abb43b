"""Teachers: where their outputs come from, one source a file."""

from distill_tune.teachers._base import (
    DataSpec,
    LoadedTeacher,
    Say,
    Teacher,
    TeacherContext,
    Trained,
    existing_file,
    family_trained_here,
)
from distill_tune.teachers._users_source import source_of

__all__ = [
    "DataSpec",
    "LoadedTeacher",
    "Say",
    "Teacher",
    "TeacherContext",
    "Trained",
    "existing_file",
    "family_trained_here",
    "source_of",
]
