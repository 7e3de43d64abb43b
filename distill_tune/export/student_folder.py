"""The student's folder, `best/`: all that is needed to use the student, retrain it and know what it is.

`students/_folder.py` defines the files and reads them; README.md is the model card. The student is also there as
standalone programs (`programs.py`), as `[export]` configures, for use without this package.
"""

from __future__ import annotations

import json
import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from distill_tune.atomic import new_folder
from distill_tune.config import Config, tables_of
from distill_tune.data import Dataset
from distill_tune.export.programs import write_programs
from distill_tune.students import Student
from distill_tune.students._folder import (
    BEST,
    OF_SEED,
    RUN_TOML,
    STUDENT_JSON,
    WEIGHTS,
    StudentFolder,
    code_of_family,
    open_student_folder,
)
from distill_tune.weights import write_weights

if TYPE_CHECKING:
    from torch import Tensor

_COMPARED = 64
"""Samples on which student and programs must agree; fewer if they are large, to fit into memory."""

__all__ = ["BEST", "OF_SEED", "StudentFolder", "open_student_folder", "write_student_folder"]


def write_student_folder(
    folder: Path, config: Config, dataset: Dataset, weights: Path | Mapping[str, Tensor], card: str
) -> dict[str, str]:
    """Write all files or none, replacing an older folder. `weights` is a file or a state dict.

    Returns:
        As `write_programs`: what the folder lacks, and why.
    """
    from distill_tune.evaluation.portions import samples_at_a_time

    description: dict[str, Any] = {
        "input_shape": dataset.input_shape,
        "classes": dataset.classes,
        "encoder": dataset.encoder,
        "split_fingerprint": dataset.split_fingerprint,
    }
    if (brightest := brightest_of(config, dataset)) is not None:
        description["brightest"] = brightest
    if (code := code_of_family(config.student.family)) is not None:
        description["code"] = code
    with new_folder(folder) as new:
        (new / RUN_TOML).write_text(tomli_w.dumps(_tables(config)), encoding="utf-8")
        if isinstance(weights, Path):
            shutil.copyfile(weights, new / WEIGHTS)
        else:
            write_weights(new / WEIGHTS, weights)
        (new / STUDENT_JSON).write_text(json.dumps(description, indent=1), encoding="utf-8")
        (new / "README.md").write_text(card, encoding="utf-8")
        compared = min(_COMPARED, samples_at_a_time(dataset.input_shape))  # programs take all of them at once
        inputs = dataset.split("train").inputs[:compared]
        return write_programs(new, open_student_folder(new).student, inputs, config.export.formats)


def brightest_of(config: Config, dataset: Dataset) -> int | None:
    """The largest pixel value of training images that were not picture files, whose units need not be those of any."""
    if not dataset.is_image or config.data.source == "image_folder":
        return None
    return int(dataset.split("train").inputs.max())


def _tables(config: Config) -> dict[str, Any]:
    """As `tables_of`, with all options of the student's family: a default may change, and with it the network."""
    tables, family, options = tables_of(config), config.student.family, Student.of(config.student)
    table = dict(tables["student"].get(family, {}))
    for name in type(options).model_fields:
        if name not in table and (default := _default(options, name, table)) is not None:
            table[name] = default
    return {**tables, "student": {**tables["student"], **({family: table} if table else {})}}


def _default(options: Student, name: str, table: dict[str, Any]) -> Any:
    """The default of an option as TOML has it; None if it would not be the same when read back with `table`."""
    default = getattr(options, name)
    try:
        read = tomllib.loads(tomli_w.dumps({name: default}))[name]
        again = getattr(type(options)(**table, **{name: read}), name)
        is_same = again == default and isinstance(again, (type(default), float))  # 1 may be read as 1.0
    except Exception:  # TOML has no such value, such as None, or the family refuses it: user code may raise anything
        return None
    return read if is_same else None
