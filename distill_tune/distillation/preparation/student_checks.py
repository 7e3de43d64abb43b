"""Try custom students in training, and custom initialisations, before anything is started."""

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
from distill_tune.evaluation.alike import CLOSE, difference
from distill_tune.students import Student, student_on
from distill_tune.students._folder import code_of_family
from distill_tune.users_faults import users_faults_refused

_INIT = ("student", "init")
_TRIED = 8


def check_own_students(space: Space, dataset: Dataset) -> None:
    """Run each custom student in training mode on some samples, in the middle of its ranges.

    Its output in evaluation, for one sample, has been checked when its cost was counted.

    Raises:
        ConfigError: it returns no logits for them, or these have no gradient, or its weights alone do not restore it.
    """
    for family in space.families:
        if ":" in family:
            _try(family, space, dataset)
            code_of_family(family)  # recorded with the trained student; the file may be edited until then


def check_own_beginnings(space: Space, prepared: Prepared) -> None:
    """Initialise a student with each custom initialisation, in the middle of its ranges.

    Raises:
        ConfigError: the student cannot be trained afterwards.
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
        except ConfigError:  # this one cannot be built; others of the space may be
            return
        begin(student, config, materials)


def _try(family: str, space: Space, dataset: Dataset) -> None:
    with torch.random.fork_rng(devices=[]):
        try:
            config = space.at(space.middle(chosen={FAMILY: family}))
            student, twin = (student_on(Student.of(config.student), dataset) for _ in range(2))
        except ConfigError:  # this one cannot be built; others of the space may be
            return
        inputs = _some(dataset)
        for device in devices_to_try_on(config):
            with on_device(device, student):
                what = _what_is_wrong(student.train(), inputs.to(device), len(dataset.classes))
            if what:
                raise ConfigError(f"student.family: {family!r} {what}; mend its forward.")
            if device == "cpu":  # before the GPU, where it may leave a tensor that it keeps
                _check_restored(family, student, twin, inputs)


def _some(dataset: Dataset) -> Tensor:
    return torch.from_numpy(dataset.split("train").inputs[:_TRIED].copy())


def check_weights_suffice(name: str, family: Student, dataset: Dataset) -> None:
    """Check that two networks of a custom family are the same function once one has the other's weights.

    Trained networks are kept as a state dict, which is later loaded into a new network of the family.

    Raises:
        ConfigError: they are not, as if the network keeps random numbers in a buffer that is not persistent.
    """
    with torch.random.fork_rng(devices=[]):
        _check_restored(name, student_on(family, dataset), student_on(family, dataset), _some(dataset))


def _check_restored(name: str, network: nn.Module, twin: nn.Module, inputs: Tensor) -> None:
    """As `check_weights_suffice`; `twin` was built after `network`, so its random numbers are others."""
    try:
        twin.load_state_dict(network.state_dict())
    except RuntimeError as error:
        raise ConfigError(
            f"student.family: {name!r} cannot load the state dict of another of its networks "
            f"({one_line(error).rstrip('.')}); build the same layers each time."
        ) from error
    both = network.eval(), twin.eval()
    if difference(*both, inputs) > CLOSE >= difference(network, network, inputs):
        raise ConfigError(
            f"student.family: {name!r} keeps numbers outside its state dict, without which its weights give other "
            "logits; make them persistent buffers, or draw them from a fixed seed."
        )


def _what_is_wrong(student: nn.Module, inputs: Tensor, classes: int) -> str:
    wanted = (len(inputs), classes)
    try:
        given: object = student(inputs)
    except Exception as error:  # user code may raise anything
        return f"cannot take {len(inputs)} samples while it trains ({one_line(error).rstrip('.')})"
    shape = tuple(given.shape) if isinstance(given, Tensor) else f"{given!r:.60}"
    if not isinstance(given, Tensor) or shape != wanted:
        return f"must give logits of shape {wanted} for {len(inputs)} samples while it trains, but gave {shape}"
    if not given.requires_grad:
        return "must have weights that learn from its logits, but these have no gradient while it trains"
    return ""
