"""Freshly initialised students for the tests of initialisations, which all try the same families."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import IMAGES, TABLE, run_space
from torch import Tensor, nn

from distill_tune.config import Config, Space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError, InputError
from distill_tune.registry import INITIALISATIONS, STUDENTS
from distill_tune.students import Student

OWN = "odd_students:Skipping"
STARTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "mlp": (TABLE, {"widths": [32, 24]}, {"widths": [32, 6]}),
    "convnet": (IMAGES, {"width": 4, "depth": 3}, {"width": 4, "depth": 2}),
    "resnet": (IMAGES, {"width": 4, "depth": 2}, {"width": 4, "depth": 1}),
    OWN: (TABLE, {"width": 16, "narrow": 6, "depth": 2}, {"width": 16, "narrow": 4, "depth": 1}),
}
"""Each family that declares its wiring, with data, a teacher and a student with a first layer of the same size."""
SAY_WIRING = [name for name in STUDENTS.names if STUDENTS.get(name).wiring is not Student.wiring]
NEEDY = [name for name in INITIALISATIONS.names if INITIALISATIONS.get(name).needs_teacher]


def space_of(init: str, family: str, student: dict[str, Any] | None = None, **sections: Any) -> Space:
    base, teacher, usual = STARTS[family]
    return run_space(
        base,
        **{
            "teacher": {"family": family, family: teacher, "train": {"epochs": 2}},
            "student": {"family": family, "init": init, family: student or usual},
            **sections,
        },
    )


def begun(run: tuple[Config, Any], seed: int = 0) -> tuple[nn.Module, Materials]:
    """A freshly initialised student and its materials."""
    config, preparation = run
    materials = Materials.open(preparation.prepared, config)
    torch.manual_seed(seed)
    student = materials.build_student(config)
    config.student.chosen("init").begin(student, config, materials)
    return student, materials


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def refused(space: Space, folder: Path, kind: type[InputError] = ConfigError) -> str:
    with pytest.raises(kind) as caught:
        prepare(space, folder, lambda line: None)
    assert not list(folder.glob("teacher-*/*"))
    return str(caught.value)
