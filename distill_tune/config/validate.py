"""From plain tables to a checked `Config`, with one readable line for whatever breaks a rule."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from distill_tune.config.sections import Config, InTable
from distill_tune.errors import ConfigError
from distill_tune.registry import did_you_mean

SECTIONS = {name: field.annotation for name, field in Config.model_fields.items()}


def validate(tables: dict[str, Any]) -> Config:
    """The configuration that `tables` (as read from TOML) describe.

    Raises:
        ConfigError: one line with the key, the rule, the value and the way out.
    """
    unknown = [name for name in tables if name not in SECTIONS]
    if unknown:
        raise ConfigError(f"[{unknown[0]}]: unknown section.{did_you_mean(unknown[0], list(SECTIONS))}")
    sections = {name: _validate_section(name, table) for name, table in tables.items()}
    try:
        return Config(**sections)
    except ValidationError as error:
        missing = error.errors()[0]["loc"][0]
        raise ConfigError(f"[{missing}]: this section is required.") from error


def _validate_section(name: str, table: Any) -> Any:
    if not isinstance(table, dict):
        raise ConfigError(f"[{name}]: must be a section with keys of its own, but got {table!r}.")
    section: Any = SECTIONS[name]
    try:
        return section.model_validate(table)
    except InTable as error:
        raise ConfigError(_explain(error.error, f"{name}.{_quoted(error.table)}", error.known)) from error
    except ConfigError as error:
        raise ConfigError(f"{name}.{error}") from error
    except ValidationError as error:
        raise ConfigError(_explain(error, name, list(section.model_fields))) from error


def _explain(error: ValidationError, prefix: str, known: list[str]) -> str:
    detail = error.errors()[0]
    key = ".".join([prefix, *(str(part) for part in detail["loc"])])
    return f"{key}: {_rule(detail, known)}"


def _rule(detail: ErrorDetails, known: list[str]) -> str:
    kind, value, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"unknown key.{did_you_mean(str(detail['loc'][-1]), known)}"
    if kind == "missing":
        return "this key is required."
    if kind == "literal_error":
        return f"must be one of {context['expected']}, but got {value!r}."
    if isinstance(value, dict) and len(value) == 1:
        return f"must be a single value here, but got {value!r}; ranges are for student, loss, optim and augmentation."
    rule = detail["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"must be {rule}, but got {value!r}."


def _quoted(name: str) -> str:
    return name if name.replace("_", "").isalnum() else f'"{name}"'
