"""A user's own student as it trains, and as it begins, tried before anything is started."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.config.leaves import FAMILY
from distill_tune.data import Dataset
from distill_tune.distillation.devices import devices_to_try_on, on_device
from distill_tune.distillation.initialisation import begin
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.errors import ConfigError, one_line
from distill_tune.students import Student, student_on
from distill_tune.users_faults import users_faults_refused

_INIT = ("student", "init")
_TRIED = 8


def check_own_students(space: Space, dataset: Dataset) -> None:
    """Have each of the user's own learn from some samples, in the middle of its ranges.

    What it gives in evaluation, for one sample, is known from when its cost is counted.

    Raises:
        ConfigError: it gives no logits for them, or none of its weights learns from them.
    """
    for family in space.families:
        if ":" in family:
            _try(family, space, dataset)


def check_own_beginnings(space: Space, prepared: Prepared) -> None:
    """Have a student begin with each of the user's own initialisations, in the middle of its ranges.

    Raises:
        ConfigError: it leaves no student that can be trained.
    """
    for init in space.inits:
        if ":" in init:
            _try_beginning(init, space, prepared)


def _try_beginning(init: str, space: Space, prepared: Prepared) -> None:
    with torch.random.fork_rng(devices=[]), users_faults_refused():
        try:
            config = space.at(space.middle(chosen={_INIT: init}))
            materials = Materials.open(prepared, config)
            student = materials.build_student(config)
        except ConfigError:  # in the middle; others of the space may be built
            return
        begin(student, config, materials)


def _try(family: str, space: Space, dataset: Dataset) -> None:
    with torch.random.fork_rng(devices=[]):
        try:
            config = space.at(space.middle(chosen={FAMILY: family}))
            student = student_on(Student.of(config.student), dataset).train()
        except ConfigError:  # in the middle; others of the space may be built
            return
        inputs = torch.from_numpy(dataset.split("train").inputs[:_TRIED].copy())
        for device in devices_to_try_on(config):
            with on_device(device, student):
                what = _what_is_wrong(student, inputs.to(device), len(dataset.classes))
            if what:
                raise ConfigError(f"student.family: {family!r} {what}; mend its forward.")


def _what_is_wrong(student: nn.Module, inputs: Tensor, classes: int) -> str:
    wanted = (len(inputs), classes)
    try:
        given: object = student(inputs)
    except Exception as error:  # a user's own may raise anything
        return f"cannot take {len(inputs)} samples while it trains ({one_line(error).rstrip('.')})"
    shape = tuple(given.shape) if isinstance(given, Tensor) else f"{given!r:.60}"
    if not isinstance(given, Tensor) or shape != wanted:
        return f"must give logits of shape {wanted} for {len(inputs)} samples while it trains, but gave {shape}"
    if not given.requires_grad:
        return "must have weights that learn from its logits, but these have no gradient while it trains"
    return ""
