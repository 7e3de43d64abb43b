"""From plain tables to a checked `Config`, with one readable line for any broken rule."""

from datetime import date, time
from math import isfinite
from typing import Any

from pydantic import ValidationError

from distill_tune.config.messages import UNKNOWN_KEY, BrokenRule, ValuePath, broken_rule, shown
from distill_tune.config.ranges import is_range, unknown_kind
from distill_tune.config.sections import SEARCHED, SECTIONS, Config
from distill_tune.errors import ConfigError
from distill_tune.registry import did_you_mean

_DEEPEST, _SHOWN = 32, 3
"""Deepest nesting of lists and tables, and how much of a deeper path an error shows."""


def validate(tables: dict[str, Any]) -> Config:
    """The configuration that `tables` (as read from TOML) describe.

    Raises:
        ConfigError: one line with the key, the rule, the value and the way out; a `BrokenRule` if it is about one key.
    """
    for name, table in tables.items():
        if name not in SECTIONS:
            raise _unknown_section(name, table)
    sections = {name: validate_section(name, table) for name, table in tables.items()}
    try:
        config = Config(**sections)
    except ValidationError as error:
        missing = error.errors()[0]["loc"][0]
        key = next(iter(SECTIONS[str(missing)].model_fields))
        raise ConfigError(f"[{missing}]: this section is required; it needs {missing}.{key} at least.") from error
    _check_can_be_written((), tables)
    return config


def _check_can_be_written(path: ValuePath, value: Any) -> None:
    """Refuse values that `summary.json` cannot hold: an option of any type must not fail a search at its end."""
    if len(path) > _DEEPEST:
        raise BrokenRule(path[:_SHOWN], f"must not be nested more than {_DEEPEST} deep; flatten it.")
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            _check_can_be_written((*path, key), below)
    elif isinstance(value, date | time) or (isinstance(value, float) and not isfinite(value)):
        rule = f"must be a finite number, text, true or false, or lists and tables of them, but got {shown(value)}."
        raise BrokenRule(path, rule)


def _unknown_section(name: str, table: Any) -> ConfigError:
    if isinstance(table, dict):
        return ConfigError(f"[{name}]: unknown section.{did_you_mean(name, list(SECTIONS))}")
    cure = _home(name) or f"Sections: {', '.join(SECTIONS)}."
    return BrokenRule((name,), "a key must stand in a section.", cure=cure)


def validate_section(name: str, table: Any) -> Any:
    """One section of `SECTIONS`, checked on its own.

    Raises:
        ConfigError: as for `validate`.
    """
    if not isinstance(table, dict):
        raise ConfigError(f"[{name}]: must be a section with keys of its own, but got {shown(table)}.")
    try:
        return SECTIONS[name].model_validate(table)
    except BrokenRule as error:
        broken = error.within(name)
    except ConfigError as error:
        raise ConfigError(f"{name}.{error}") from error
    except ValidationError as error:
        broken = broken_rule(error, table, SECTIONS[name]).within(name)
    raise broken.advised(_cure(broken))


def _cure(broken: BrokenRule) -> str:
    """The way out, if it depends on more than the section itself."""
    section, value = str(broken.path[0]), broken.value
    if broken.kind == UNKNOWN_KEY and len(broken.path) == 2:
        return _home(str(broken.path[1]), section)
    if section not in SEARCHED and (is_range(value) or _is_list_of_choices(broken)):
        able = " and ".join([", ".join(f"[{name}]" for name in SEARCHED[:-1]), f"[{SEARCHED[-1]}]"])
        is_mixed = broken.path[:2] == ("teacher", "ensemble")
        mixes = ", but for the weights and the use of an ensemble" if is_mixed else ""
        return f"[{section}] is the same for every trial{mixes}; {able} may have ranges."
    if section in SEARCHED and is_range(value) and isinstance(broken.path[-1], int):
        return "A range stands for a whole value; to choose one of several lists, write { choice = [[...], [...]] }."
    if section in SEARCHED and isinstance(value, dict) and len(value) == 1:
        return unknown_kind(value)
    if section in SEARCHED and isinstance(value, list) and isinstance(broken.path[-1], int):
        return "To choose one of several lists, write { choice = [[...], [...]] }."
    if section in SEARCHED and broken.kind == "dict_type":  # a table has its ranges inside, and is no choice
        return _as_terms(value) if broken.path == ("loss", "also") else ""
    if section in SEARCHED and _is_list_of_choices(broken):
        return f"To choose one of them, write {{ choice = {shown(value)} }}."
    return ""


def _as_terms(names: Any) -> str:
    """How to write additional terms of the loss that were only named."""
    names = [names] if isinstance(names, str) else names
    are_names = isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    return f"Write {shown(dict.fromkeys(names, 1.0))}, each with its weight." if are_names else ""


def _is_list_of_choices(broken: BrokenRule) -> bool:
    """Whether the value is a list although the key takes none."""
    wants_list = broken.kind in ("too_short", "too_long")
    return isinstance(broken.value, list) and len(broken.value) > 0 and not wants_list


def _home(key: str, section: str = "") -> str:
    """A hint at where a key belongs that was written into `section`, or outside of any."""
    places = [f"{name}.{key}" for name, model in SECTIONS.items() if key in model.model_fields]
    for registry in getattr(SECTIONS.get(section), "chooses", {}).values():
        places += [f"{section}.{name}.{key}" for name in registry.names if key in registry.get(name).model_fields]
    return f"Did you mean {' or '.join(dict.fromkeys(places))}?" if places else ""
