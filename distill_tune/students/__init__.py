"""Student families: parametric networks from about a thousand to a few million parameters, one file per family.

A family is a frozen set of options, cheap to create and validate; `build_student` makes the network, and `count_cost`
computes its cost before any training. Importing this package does not import torch.
"""

from distill_tune.students._base import (
    Student,
    behind_normalisation,
    build_student,
    empty_network,
    from_callable,
    student_on,
)
from distill_tune.students._cost import Cost, count_cost, looked_at, multiply_adds
from distill_tune.students._wiring import CLASSES, HEAD, INPUT, STEM, Layer, Place, Wiring, body

__all__ = [
    "CLASSES",
    "HEAD",
    "INPUT",
    "STEM",
    "Cost",
    "Layer",
    "Place",
    "Student",
    "Wiring",
    "behind_normalisation",
    "body",
    "build_student",
    "count_cost",
    "empty_network",
    "from_callable",
    "looked_at",
    "multiply_adds",
    "student_on",
]
