"""Which tables and keys exist, given what was chosen; the others are neither written nor sampled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from distill_tune.config.choosing import Choosing
from distill_tune.config.sections import SECTIONS, Config
from distill_tune.registry import LOSSES

OF_THE_TEMPERATURE = ("temperature", "temperature_end")
"""Keys of `[loss]` that a loss without a temperature does not have."""
OF_THE_SOFT_TERM = ("soft_weight", "soft_weight_end")
"""Keys of `[loss]` that a kind of loss without a teacher does not have."""
OF_THE_TEACHER = (*OF_THE_TEMPERATURE, *OF_THE_SOFT_TERM, "schedule")
"""Keys of `[loss]` that a loss without a teacher does not have."""

OF_THE_TEACHERS_WEIGHTS = (("regularization", "norm_ratio"),)
"""Keys that make a student depend on its teacher's weights, besides an init that `needs_teacher`."""


def tables_of(config: Config) -> dict[str, Any]:
    """A configuration as plain TOML tables, without keys that are None or do not exist.

    Sections have all their defaults, the tables of chosen entries only the options that are configured.
    """
    dumped = config.model_dump(exclude_none=True)
    if config.data.folds is not None:
        del dumped["data"]["validation"]
    return {name: table for name, table in without_unchosen(dumped).items() if table}


def without_unchosen(tables: dict[str, Any]) -> dict[str, Any]:
    """The same tables without those of unchosen entries and without keys of `[loss]` that its kind lacks."""
    kept = dict(tables)
    for name, table in tables.items():
        model = SECTIONS[name]
        if issubclass(model, Choosing):
            kept[name] = model.without_unchosen(table)
    loss = kept.get("loss", {})
    if "kind" in loss:
        absent = lacking(loss["kind"], [name for name, weight in loss.get("also", {}).items() if weight])
        kept["loss"] = {key: value for key, value in loss.items() if key not in absent}
    return kept


def at_its_own_pace(tables: dict[str, Any]) -> dict[str, Any]:
    """The same tables of one student family, with its entry of `optim.paces` replacing the common settings."""
    if "paces" not in tables.get("optim", {}):
        return tables
    optim = dict(tables["optim"])
    own = optim.pop("paces").get(tables["student"]["family"], {})
    return {**tables, "optim": optim | own}


def lacking(kind: str, added: Iterable[str]) -> tuple[str, ...]:
    """The keys of `[loss]` that do not exist for a kind of loss and the terms added to it."""
    entry = LOSSES.get(kind)
    softened = any(LOSSES.get(name).uses_temperature for name in added) or (
        entry.uses_teacher and entry.uses_temperature
    )
    if softened:
        return () if entry.uses_teacher else OF_THE_SOFT_TERM
    return OF_THE_TEMPERATURE if entry.uses_teacher else OF_THE_TEACHER
