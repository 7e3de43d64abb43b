"""Initialisations of a student's weights, one per file; the file's name is its name in `student.init`."""

from distill_tune.distillation.initialisation._base import (
    Initialisation,
    Shapes,
    check_beginnings,
    check_teachers_weights,
)
from distill_tune.distillation.initialisation._beginning import begin

__all__ = ["Initialisation", "Shapes", "begin", "check_beginnings", "check_teachers_weights"]
