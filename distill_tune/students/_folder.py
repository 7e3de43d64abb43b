"""Opens the folder of a trained student: `best/` of a search, or `seed-N/` of a training.

run.toml               the configuration, without ranges
student.safetensors    the weights, including the input normalisation
student.json           input shape, classes, encoding of table rows, fingerprint of the splits, digest of the code of a
                       custom family and, for images that were not picture files, the largest pixel value
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.config import read_toml
from distill_tune.config.sections import StudentConfig
from distill_tune.config.validate import validate_section
from distill_tune.errors import ConfigError, InputError, one_line
from distill_tune.paths import is_file, is_folder
from distill_tune.registry import load_dotted
from distill_tune.students._base import Student, build_student
from distill_tune.users_code import source_of

if TYPE_CHECKING:
    from torch import nn

BEST, OF_SEED = "best", "seed-"
"""Name of a student's folder in a search's result folder, and its prefix before the seed in a training's."""
RUN_TOML, STUDENT_JSON, WEIGHTS = "run.toml", "student.json", "student.safetensors"

_DARK = 127
_code_of = lru_cache(maxsize=8)(source_of)
"""Read once per process: editing the file meanwhile changes neither the loaded code nor the networks that it builds."""


def code_of_family(family: str) -> str | None:
    """A digest of the code of a custom family, as it was when this process first read it; None for our own."""
    return _code_of(load_dotted(family)) if ":" in family else None


def is_dark(brightest: int | None) -> bool:
    """Whether images whose largest pixel value is this do not use the full range of a byte, as pictures do."""
    return brightest is not None and brightest <= _DARK


def student_folders(path: Path) -> list[Path]:
    """The student folders at `path`: itself, its best/, its only seed-N/, or all seed-N/ if there are several."""
    seeds = sorted(path.glob(f"{OF_SEED}*")) if is_folder(path) else []
    if len(seeds) > 1:
        return seeds
    return [place for place in (path, path / BEST, *seeds) if is_file(place / STUDENT_JSON)]


@dataclass(frozen=True)
class StudentFolder:
    """The contents of a student's folder."""

    config: StudentConfig
    """The family and its options, without the initialisation of the weights."""
    input_shape: tuple[int, ...]
    classes: tuple[str, ...]
    encoder: dict[str, Any] | None
    split_fingerprint: str
    """Fingerprint of its training data and their splits; empty if an older version wrote the folder."""
    separator: str | None
    """Column separator of the CSV file it was trained on; None for other sources."""
    array: str | None
    """Name of the inputs in the .npz file it was trained on, if one was configured."""
    brightest: int | None
    """The largest pixel value; None for tables and picture files, and if an older version wrote the folder."""
    student: nn.Module
    warning: str = ""
    """What to tell the user: that the code of a custom family has changed; empty if nothing."""


def open_student_folder(folder: Path) -> StudentFolder:
    """The student of a folder, in eval mode; needs neither Ray nor the data.

    From run.toml it reads only the student and the format of its rows, so custom losses, optimizers and data sources
    need not be importable where the student is used.

    Raises:
        InputError: the folder is not a student's, one of its files is damaged, or the family cannot be imported.
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
        brightest, code = description.get("brightest"), description.get("code")
    except OSError as error:
        why = error.strerror or one_line(error)
        raise InputError(f"{error.filename or folder}: cannot be read ({why}); look at its permissions.") from error
    except (SafetensorError, RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: the student cannot be read ({one_line(error)}); copy the folder again.") from error
    warning = _said_of_code(folder, config.family, code)
    return StudentFolder(config, shape, classes, *known, separator, array, brightest, student.eval(), warning)


def _said_of_code(folder: Path, family: str, code: str | None) -> str:
    """A warning if `code`, which older folders lack, is not the family's any more."""
    if code is None or code == code_of_family(family):
        return ""
    return (
        f"{family!r} has changed since the student in {folder} was trained, in the code that it is made of or in a "
        "library's version: its answers may differ; restore what it was made of, or train it again"
    )


def _read_run(path: Path) -> tuple[StudentConfig, str | None, str | None]:
    """The student's section, the separator of its CSV file, and the name of the inputs in its .npz file."""
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
    """A section's key `chooses` and the options of the entry that it names."""
    table = tables.get(section)
    if not isinstance(table, dict) or not isinstance(table.get(chooses), str):
        raise ConfigError(f"{section}.{chooses}: this key is required, as text; copy the folder again.")
    name = table[chooses]
    return {chooses: name} | ({name: table[name]} if name in table else {})


def _normalisation(weights: dict[str, Any], shape: tuple[int, ...]) -> tuple[list[float], list[float]]:
    """Placeholders of the right shape for the network's normalisation, which the weights then overwrite."""
    has_own = any(name.startswith("normalise.") for name in weights)
    return ([0.0] * shape[0], [1.0] * shape[0]) if has_own else ([], [])
