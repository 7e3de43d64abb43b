"""Call a student's initialisation, and check what a custom one has left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.distillation.initialisation._base import Initialisation
from distill_tune.errors import CacheError, ConfigError

_NOWHERE = "needs_teacher is False"
"""A folder that does not exist, recognisable in an error."""

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config
    from distill_tune.distillation.holding import Hold
    from distill_tune.distillation.materials.materials import Materials


def begin(student: nn.Module, config: Config, materials: Materials) -> Hold:
    """Set the weights of `student`, newly built from the seed, as `student.init` says; return those held still.

    Raises:
        ConfigError: a custom initialisation leaves anything but the same student with other weights.
    """
    from distill_tune.distillation.holding import Hold  # imports torch, which reading a configuration does without

    init = Initialisation.of(config.student)
    if ":" not in config.student.init:
        return init.begin(student, config, materials) or Hold(student)
    before = _shapes(student)
    given = (_begun if init.needs_teacher else _begun_unread)(init, student, config, materials)
    if what := _what_is_wrong(student, before):
        raise ConfigError(f"student.init: {config.student.init!r} {what}; mend its `begin`.")
    if given is not None and not isinstance(given, Hold):
        wanted = "nothing, or a Hold of what stands still for a while"
        raise ConfigError(
            f"student.init: `begin` of {config.student.init!r} must give {wanted}, but gave {given!r:.60}."
        )
    return given or Hold(student)


def _begun(init: Initialisation, student: nn.Module, config: Config, materials: Materials) -> object:
    return init.begin(student, config, materials)  # a custom one may return anything


def _begun_unread(init: Initialisation, student: nn.Module, config: Config, materials: Materials) -> object:
    """As `_begun`, without the teacher's weights, which another space may have left: `init` has not asked for them."""
    from distill_tune.distillation.cache.weights import TeacherWeights

    try:
        return _begun(init, student, config, replace(materials, teacher_weights=TeacherWeights(Path(_NOWHERE))))
    except CacheError as error:
        if _NOWHERE not in str(error):
            raise
        why = "reads the teacher's weights, which are there where it says so; write `needs_teacher = True` in its class"
        raise ConfigError(f"student.init: {config.student.init!r} {why}.") from error


def _shapes(student: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in student.state_dict().items()}


def _what_is_wrong(student: nn.Module, before: dict[str, list[int]]) -> str:
    after = _shapes(student)
    if changed := [name for name in before | after if before.get(name) != after.get(name)]:
        was, now = (shapes.get(changed[0], "nothing") for shapes in (before, after))
        return f"must set the weights that there are, but makes {changed[0]} {now} where there was {was}"
    if not any(parameter.requires_grad for parameter in student.parameters()):
        return "must leave a weight that learns, but freezes all of them"
    if not all(tensor.isfinite().all() for tensor in student.state_dict().values()):
        return "must leave finite weights, but sets some that are not"
    return ""
