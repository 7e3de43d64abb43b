"""How a student's weights begin, one idea a file; a file's name is its name in `student.init`."""

from distill_tune.distillation.initialisation._base import (
    Initialisation,
    Shapes,
    check_beginnings,
    check_teachers_weights,
)

__all__ = ["Initialisation", "Shapes", "check_beginnings", "check_teachers_weights"]
