"""A user's own student as it trains, tried on a few samples before anything is started."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.config.leaves import FAMILY
from distill_tune.data import Dataset
from distill_tune.errors import ConfigError, one_line
from distill_tune.students import Student, student_on

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


def _try(family: str, space: Space, dataset: Dataset) -> None:
    with torch.random.fork_rng(devices=[]):
        try:
            config = space.at(space.middle(chosen={FAMILY: family}))
            student = student_on(Student.of(config.student), dataset).train()
        except ConfigError:  # in the middle; others of the space may be built
            return
        inputs = torch.from_numpy(dataset.split("train").inputs[:_TRIED].copy())
        if what := _what_is_wrong(student, inputs, len(dataset.classes)):
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
