"""Teachers: where their outputs come from, one source a file."""

from distill_tune.teachers._base import (
    LoadedTeacher,
    Pupils,
    Say,
    Teacher,
    Trained,
    Workshop,
    existing_file,
    source_of,
)

__all__ = ["LoadedTeacher", "Pupils", "Say", "Teacher", "Trained", "Workshop", "existing_file", "source_of"]
