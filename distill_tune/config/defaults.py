"""Default values of keys that a configuration leaves out, looked up by path.

Only shipped entries are considered; user-defined code is not imported.
"""

from __future__ import annotations

from typing import Any

from distill_tune.config.leaves import KeyPath, found_at
from distill_tune.config.sections import SECTIONS, Config
from distill_tune.registry import Options


def value_at(tables: dict[str, Any], path: KeyPath) -> Any:
    """The value in `tables`, or the default; None if there is none, or only user-defined code knows it."""
    said = found_at(tables, path)
    return _default(tables, path) if said is None else said


def _default(tables: dict[str, Any], path: KeyPath) -> Any:
    section, *names = path
    if len(names) == 1 and section not in tables:  # a missing section may have other defaults than an empty one
        return getattr(_of_field(Config, section), names[0], None)
    model = SECTIONS.get(section) if len(names) == 1 else _entry(SECTIONS.get(section), names[0])
    return None if model is None or len(names) > 2 else _of_field(model, names[-1])


def _of_field(model: type[Options], name: str) -> Any:
    field = model.model_fields.get(name)
    return None if field is None or field.is_required() else field.get_default(call_default_factory=True)


def _entry(section: type[Options] | None, name: str) -> type[Options] | None:
    """The shipped entry that the options in a section's table of that name belong to."""
    registries = getattr(section, "chooses", {}).values()
    return next((registry.get(name) for registry in registries if name in registry.names), None)
