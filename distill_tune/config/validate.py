"""From plain tables to a checked `Config`, with one readable line for whatever breaks a rule."""

from typing import Any

from pydantic import ValidationError

from distill_tune.config.messages import BrokenRule, broken_rule, shown
from distill_tune.config.ranges import is_range, unknown_kind
from distill_tune.config.sections import SEARCHED, SECTIONS, Config
from distill_tune.errors import ConfigError
from distill_tune.registry import did_you_mean


def validate(tables: dict[str, Any]) -> Config:
    """The configuration that `tables` (as read from TOML) describe.

    Raises:
        ConfigError: one line with the key, the rule, the value and the way out; a `BrokenRule` if it is one key's.
    """
    for name, table in tables.items():
        if name not in SECTIONS:
            raise _unknown_section(name, table)
    sections = {name: _validate_section(name, table) for name, table in tables.items()}
    try:
        return Config(**sections)
    except ValidationError as error:
        missing = error.errors()[0]["loc"][0]
        key = next(iter(SECTIONS[str(missing)].model_fields))
        raise ConfigError(f"[{missing}]: this section is required; it needs {missing}.{key} at least.") from error


def _unknown_section(name: str, table: Any) -> ConfigError:
    if isinstance(table, dict):
        return ConfigError(f"[{name}]: unknown section.{did_you_mean(name, list(SECTIONS))}")
    cure = _home(name) or f"Sections: {', '.join(SECTIONS)}."
    return BrokenRule((name,), "a key must stand in a section.", cure=cure)


def _validate_section(name: str, table: Any) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(f"[{name}]: must be a section with keys of its own, but got {shown(table)}.")
    try:
        return SECTIONS[name].model_validate(table)
    except BrokenRule as error:
        broken = error.within(name)
    except ConfigError as error:
        raise ConfigError(f"{name}.{error}") from error
    except ValidationError as error:
        broken = broken_rule(error, table, list(SECTIONS[name].model_fields)).within(name)
    raise broken.advised(_cure(broken))


def _cure(broken: BrokenRule) -> str:
    """The way out that only shows from outside of the section."""
    section, value, searched = broken.path[0], broken.value, broken.path[0] in SEARCHED
    if broken.kind == "extra_forbidden" and len(broken.path) == 2:
        return "" if broken.cure else _home(str(broken.path[1]))
    if is_range(value):
        able = " and ".join([", ".join(f"[{name}]" for name in SEARCHED[:-1]), f"[{SEARCHED[-1]}]"])
        return f"[{section}] is the same for every trial; ranges may stand in {able}."
    if isinstance(value, dict) and len(value) == 1 and searched:
        return unknown_kind(value)
    if isinstance(value, list) and value and searched:
        in_list = isinstance(broken.path[-1], int)
        return f"To choose one of them, write {{ choice = {'[[...], [...]]' if in_list else shown(value)} }}."
    return ""


def _home(key: str) -> str:
    """Where a key stands that was written elsewhere."""
    sections = [name for name, model in SECTIONS.items() if key in model.model_fields]
    return f"Did you mean {' or '.join(f'{name}.{key}' for name in sections)}?" if sections else ""
