"""Every student family with the extremes of its options, and the inputs that it supports."""

from collections.abc import Mapping

from distill_tune.registry import STUDENTS
from distill_tune.students import Student

IMAGES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 20, 33)]
SHAPES = [*IMAGES, (16,), (1,)]
CASES = [
    (name, shape) for name in STUDENTS.names for shape in SHAPES if len(shape) == 3 or STUDENTS.get(name).for_tables
]

# The extremes of each family's options that are still quick to build.
OPTIONS: dict[str, list[dict[str, object]]] = {
    "mlp": [
        {},
        {"widths": [20, 20, 20]},
        {"width": 7, "depth": 12, "activation": "gelu"},
        {"widths": [1], "activation": "silu"},
    ],
    "convnet": [
        {},
        {"width": 2, "depth": 1, "first_stride": 1},
        {"width": 4, "depth": 6},
        {"separable": True, "kernel": 5, "depth": 4},
        {"norm": "none"},
    ],
    "resnet": [
        {},
        {"width": 2, "depth": 1, "stages": 1},
        {"width": 4, "depth": 2, "stages": 4},
        {"first_stride": 2},
    ],
}
SMALL: dict[str, dict[str, object]] = {
    "mlp": {"width": 10, "depth": 2},
    "convnet": {"width": 6, "depth": 3},
    "resnet": {"width": 4, "stages": 2},
}
LARGE: dict[str, dict[str, object]] = {
    "mlp": {"width": 1024, "depth": 3},
    "convnet": {"width": 64, "depth": 5},
    "resnet": {"width": 64, "stages": 3, "depth": 2},
}
FLAT = [(name, options) for name in OPTIONS for options in OPTIONS[name]]


def family(name: str, options: Mapping[str, object] | None = None) -> Student:
    made: Student = STUDENTS.get(name)(**(options or {}))
    return made
