"""The student's folder, `best/`: all that is needed to use the student, retrain it and know what it is.

`students/_folder.py` defines the files and reads them; README.md is the model card. The student is also there as
standalone programs (`programs.py`), as `[export]` configures, for use without this package.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from distill_tune.atomic import new_folder
from distill_tune.config import Config, tables_of
from distill_tune.data import Dataset
from distill_tune.export.programs import write_programs
from distill_tune.students._folder import (
    BEST,
    OF_SEED,
    RUN_TOML,
    STUDENT_JSON,
    WEIGHTS,
    StudentFolder,
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
    if dataset.is_image and config.data.source != "image_folder":  # its pixels have pictures' units
        description["brightest"] = int(dataset.split("train").inputs.max())
    with new_folder(folder) as new:
        (new / RUN_TOML).write_text(tomli_w.dumps(tables_of(config)), encoding="utf-8")
        if isinstance(weights, Path):
            shutil.copyfile(weights, new / WEIGHTS)
        else:
            write_weights(new / WEIGHTS, weights)
        (new / STUDENT_JSON).write_text(json.dumps(description, indent=1), encoding="utf-8")
        (new / "README.md").write_text(card, encoding="utf-8")
        compared = min(_COMPARED, samples_at_a_time(dataset.input_shape))  # programs take all of them at once
        inputs = dataset.split("train").inputs[:compared]
        return write_programs(new, open_student_folder(new).student, inputs, config.export.formats)
