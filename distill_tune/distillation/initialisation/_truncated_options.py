"""Find the options that give a student the teacher's first layers, by building students with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from distill_tune.config.messages import dotted, shown
from distill_tune.distillation.initialisation._counterparts import first_shapes
from distill_tune.distillation.initialisation._declared_wiring import declared_wiring
from distill_tune.students import Student

if TYPE_CHECKING:
    from distill_tune.config import Config
    from distill_tune.distillation.initialisation._base import Shapes

_Options = dict[str, Any]
_Fits = Callable[[_Options], bool]
"""Whether the student, updated with these options, has first layers of the teacher's shapes."""


def way_to_fit(config: Config, shapes: Shapes, layers: int) -> str:
    """The fewest of the teacher's options that suffice: "write student.net.widths = [32, ...]"."""
    theirs, ours = Student.of(config.teacher), Student.of(config.student)
    other = {key: value for key in type(ours).model_fields if (value := getattr(theirs, key)) != getattr(ours, key)}
    fits = _fits(config, shapes, layers)
    needed = _fewest(other, fits)
    keys = {key: dotted(("student", config.student.family, key)) for key in needed}
    written = [f"{keys[key]} = {_written(needed, key, fits)}" for key in needed if needed[key] is not None]
    left_out = [keys[key] for key in needed if needed[key] is None]
    ways = [f"{way} {', '.join(told)}" for way, told in (("write", written), ("leave out", left_out)) if told]
    return " and ".join(ways) or "give both the same options"


def _fits(config: Config, shapes: Shapes, layers: int) -> _Fits:
    name, theirs, ours = config.student.family, Student.of(config.teacher), Student.of(config.student)
    wanted = first_shapes(declared_wiring(theirs, name, shapes, "teacher"), layers)

    def fits(options: _Options) -> bool:
        try:
            wiring = declared_wiring(ours.model_copy(update=options), name, shapes)
        except Exception:  # an untested combination, possibly of a user-defined family
            return False
        return first_shapes(wiring, layers) == wanted

    return fits


def _fewest(options: _Options, fits: _Fits) -> _Options:
    """The options without those that are not needed."""
    for key in list(options):
        fewer = {other: value for other, value in options.items() if other != key}
        options = fewer if fits(fewer) else options
    return options


def _written(options: _Options, key: str, fits: _Fits) -> str:
    """The value; of a list, such as widths, only as many numbers as needed, followed by the student's own."""
    value = options[key]
    begins = [value[:count] for count in range(1, len(value) + 1)] if isinstance(value, list | tuple) else []
    enough = next((part for part in begins if fits(options | {key: part})), None)
    return shown(value) if enough is None else f"{shown(enough).removesuffix(']')}, ...]"
