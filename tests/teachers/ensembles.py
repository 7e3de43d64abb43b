"""Two small teachers, and spaces whose teacher is a mix of several."""

from collections.abc import Callable
from typing import Any

from runs import run_space

from distill_tune.config import Config, Space

Ready = Callable[[Space], tuple[Config, Any]]
FLOAT32 = {"epochs": 4, "precision": "float32"}
BIG = {"source": "train", "family": "mlp", "mlp": {"widths": [24]}, "train": FLOAT32}
SMALL = {"source": "train", "family": "mlp", "mlp": {"widths": [6]}, "train": FLOAT32}
MEMBERS = {"big": BIG, "small": SMALL}


def space_of(
    members: dict[str, Any] | None = None, teacher: dict[str, Any] | None = None, base: Any = None, **ensemble: Any
) -> Space:
    section = {"source": "ensemble", "ensemble": {"members": MEMBERS if members is None else members, **ensemble}}
    sections = dict(base or run_space().tables)
    return Space.parse({**sections, "teacher": section | (teacher or {})})
