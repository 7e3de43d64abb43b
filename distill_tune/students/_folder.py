"""A trained student in its folder, opened: `best/` of a search, or `seed-N/` of a training.

run.toml               the configuration, without ranges
student.safetensors    the weights, the input normalisation among them
student.json           input shape, classes, how rows of a table are encoded, and the fingerprint of its splits
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.config import Config, read_toml
from distill_tune.config.validate import validate
from distill_tune.errors import InputError, one_line
from distill_tune.students._base import build_student

if TYPE_CHECKING:
    from torch import nn

FILES = ("run.toml", "student.json", "student.safetensors")


@dataclass(frozen=True)
class StudentFolder:
    """A student's folder, opened."""

    config: Config
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    encoder: dict[str, Any] | None
    split_fingerprint: str
    """Of the data that it has learned, and of their splits; empty where an older version wrote the folder."""
    student: nn.Module


def open_student_folder(folder: Path) -> StudentFolder:
    """The student of a folder, in eval mode; needs neither Ray nor the data.

    Raises:
        InputError: the folder is no student's folder, or a file of it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in FILES:
        if not os.path.isfile(folder / name):  # noqa: PTH113 - no name is too long for it
            raise InputError(f"{folder}: is no student's folder, {name} is missing; give the folder best/ of a result.")
    config = validate(read_toml(folder / "run.toml"))
    try:
        description = json.loads((folder / "student.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "student.safetensors")
        shape, classes = tuple(description["input_shape"]), tuple(description["classes"])
        mean, std = _normalisation(weights, shape)
        student = build_student(config.student.chosen("family"), shape, len(classes), mean, std)
        student.load_state_dict(weights)
        known = (description["encoder"], description.get("split_fingerprint", ""))
    except (SafetensorError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: the student cannot be read ({one_line(error)}); copy the folder again.") from error
    return StudentFolder(config, shape, classes, *known, student.eval())


def _normalisation(weights: dict[str, Any], shape: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Values of the right shape for the network's normalisation; the weights then bring their own."""
    has_own = any(name.startswith("normalise.") for name in weights)
    return ([0.0] * shape[0], [1.0] * shape[0]) if has_own else ([], [])
