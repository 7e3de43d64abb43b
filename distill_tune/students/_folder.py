"""A trained student in its folder, opened: `best/` of a search, or `seed-N/` of a training.

run.toml               the configuration, without ranges
student.safetensors    the weights, the input normalisation among them
student.json           input shape, classes, how rows of a table are encoded, the fingerprint of its splits, and of
                       images that were no pictures the largest value of a pixel
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.config import read_toml
from distill_tune.config.sections import StudentConfig
from distill_tune.config.validate import validate_section
from distill_tune.errors import ConfigError, InputError, one_line
from distill_tune.paths import is_file, is_folder
from distill_tune.students._base import Student, build_student

if TYPE_CHECKING:
    from torch import nn

BEST, OF_SEED = "best", "seed-"
"""Where a student's folder is: in a search's result folder, and before the seed in a training's."""
RUN_TOML, STUDENT_JSON, WEIGHTS = "run.toml", "student.json", "student.safetensors"


def student_folders(path: Path) -> list[Path]:
    """Where a student is at `path`: itself, its best/, or its one seed-N/; of several seeds all, whatever they hold."""
    seeds = sorted(path.glob(f"{OF_SEED}*")) if is_folder(path) else []
    if len(seeds) > 1:
        return seeds
    return [place for place in (path, path / BEST, *seeds) if is_file(place / STUDENT_JSON)]


@dataclass(frozen=True)
class StudentFolder:
    """A student's folder, opened."""

    config: StudentConfig
    """The family and its options, without how the weights once began."""
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    encoder: dict[str, Any] | None
    split_fingerprint: str
    """That of the data that it has learned, and of their splits; empty where an older version wrote the folder."""
    separator: str | None
    """What separates columns in the CSV file that it was trained on; None where that was none."""
    array: str | None
    """The name of the inputs in the .npz file that it was trained on, if they had one of their own."""
    brightest: int | None
    """The largest value of a pixel; None of a table and of pictures, and where an older version wrote the folder."""
    student: nn.Module


def open_student_folder(folder: Path) -> StudentFolder:
    """The student of a folder, in eval mode; needs neither Ray nor the data.

    Of run.toml only what the student is made of, and how its rows were written, is looked at: the user's own losses,
    optimizers and data sources need not be importable where it is used.

    Raises:
        InputError: the folder is no student's folder, a file of it is damaged, or the family cannot be imported.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for name in (RUN_TOML, STUDENT_JSON, WEIGHTS):
        if not is_file(folder / name):
            raise InputError(
                f"{folder}: is no student's folder, {name} is missing; give the folder {BEST}/ of a search's "
                "result, or seed-N/ of a training's."
            )
    config, separator, array = _read_run(folder / RUN_TOML)
    try:
        description = json.loads((folder / STUDENT_JSON).read_text(encoding="utf-8"))
        weights = load_file(folder / WEIGHTS)
        shape, classes = tuple(description["input_shape"]), tuple(description["classes"])
        mean, std = _normalisation(weights, shape)
        student = build_student(Student.of(config), shape, len(classes), mean, std)
        student.load_state_dict(weights)
        known = (description["encoder"], description.get("split_fingerprint", ""))
        brightest = description.get("brightest")
    except OSError as error:
        why = error.strerror or one_line(error)
        raise InputError(f"{error.filename or folder}: cannot be read ({why}); look at its permissions.") from error
    except (SafetensorError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: the student cannot be read ({one_line(error)}); copy the folder again.") from error
    return StudentFolder(config, shape, classes, *known, separator, array, brightest, student.eval())


def _read_run(path: Path) -> tuple[StudentConfig, str | None, str | None]:
    """What the student is made of; the separator of its CSV file, and the name of the inputs in its .npz file."""
    tables = read_toml(path)
    try:
        told, data = _part(tables, "student", "family"), _part(tables, "data", "source")
        config: StudentConfig = validate_section("student", told)
        if data["source"] not in ("csv", "npz"):
            return config, None, None
        source = validate_section("data", data | {"path": path.name}).chosen("source")
        return config, getattr(source, "separator", None), getattr(source, "inputs", None)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _part(tables: dict[str, Any], section: str, chooses: str) -> dict[str, Any]:
    """The key of a section that chooses, and the options of what it chooses."""
    table = tables.get(section)
    if not isinstance(table, dict) or not isinstance(table.get(chooses), str):
        raise ConfigError(f"{section}.{chooses}: this key is required, as text; copy the folder again.")
    name = table[chooses]
    return {chooses: name} | ({name: table[name]} if name in table else {})


def _normalisation(weights: dict[str, Any], shape: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Values of the right shape for the network's normalisation; the weights then bring their own."""
    has_own = any(name.startswith("normalise.") for name in weights)
    return ([0.0] * shape[0], [1.0] * shape[0]) if has_own else ([], [])
