"""Student families: parametric networks from about a thousand to a few million parameters, one file a family.

A family is a frozen set of options, cheap to make and to check; `build_student` makes the network and
`count_cost` says what it will cost before a single weight exists. Importing this package does not import
torch.
"""

from distill_tune.students._base import Student, behind_normalisation, build_student, from_callable
from distill_tune.students._cost import Cost, count_cost, looked_at, multiply_adds

__all__ = [
    "Cost",
    "Student",
    "behind_normalisation",
    "build_student",
    "count_cost",
    "from_callable",
    "looked_at",
    "multiply_adds",
]
