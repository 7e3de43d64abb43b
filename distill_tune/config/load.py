"""Reading a configuration: the TOML file, with each `--set KEY=VALUE` applied to it."""

import tomllib
from copy import deepcopy
from pathlib import Path
from typing import Any

from distill_tune.config.leaves import KeyPath, is_own_table
from distill_tune.config.messages import BrokenRule, dotted
from distill_tune.config.ranges import is_range
from distill_tune.config.shipped import completed
from distill_tune.config.space import Space
from distill_tune.errors import ConfigError
from distill_tune.paths import is_file

_A_KEY = "write section.key, such as loss.temperature; a part with a colon in it needs quotes."

MADE_WITH = "made_with"
"""The table of a result's `search.toml` that records what made it; it is not a section, and ignored."""


def load_space(path: Path, settings: list[str], completing: bool = False) -> Space:
    """The search space at `path` with `settings` ("loss.temperature=4") applied to it.

    Args:
        path: a TOML file.
        settings: each `key=value`.
        completing: whether to add shipped ranges for keys that the space leaves out (`shipped.py`).

    Raises:
        ConfigError: the file is missing, is not TOML, or breaks a rule; one line, with the file's name.
    """
    of_the_file = read_toml(path)
    of_the_file.pop(MADE_WITH, None)
    tables = deepcopy(of_the_file)
    for setting in settings:
        apply_setting(tables, setting)
    try:
        space = Space.parse(tables)
    except ConfigError as error:
        if settings and _is_valid(of_the_file):  # so the command line is at fault
            raise _said_to_a_shell(error, settings) from error
        raise ConfigError(f"{path}: {error}") from error
    return completed(space, tables) if completing else space


def _said_to_a_shell(error: ConfigError, settings: list[str]) -> ConfigError:
    """The error with the quotes that a shell leaves in place, if a setting should have had its value in quotes."""
    if isinstance(error, BrokenRule) and error.kind == "string_type" and error.cure:
        for key, _, text in (setting.partition("=") for setting in reversed(settings)):
            if key.strip() == dotted(error.path):
                outer, inner = ("'", '"') if '"' in key else ('"', "'")
                return error.advised(f"Write --set {outer}{key.strip()}={inner}{text.strip()}{inner}{outer}.")
    return error


def _is_valid(tables: dict[str, Any]) -> bool:
    try:
        Space.parse(tables)
    except ConfigError:
        return False
    return True


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: it is missing, unreadable, or not TOML.
    """
    try:
        return _parsed(path.read_text(encoding="utf-8-sig"), str(path))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; the shipped search spaces are in search_spaces/.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}){_run_within(path)}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text file (a TOML configuration is UTF-8 text).") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}.") from error


def _run_within(path: Path) -> str:
    """A hint at the run.toml in a student's or result's folder that was named in place of a file."""
    run = next((name for name in ("run.toml", "best/run.toml") if is_file(path / name)), None)
    return f"; name its {run}" if run else ""


def _parsed(text: str, where: str) -> dict[str, Any]:
    """The tables of a text that may or may not be TOML.

    Raises:
        ConfigError: it is TOML, but exceeds what Python can read.
        TOMLDecodeError: it is not TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as error:
        raise ConfigError(f"{where}: has lists or tables that are nested too deeply; flatten them.") from error
    except ValueError as error:  # from int(), which limits the number of digits
        raise ConfigError(f"{where}: has a number of more than 4,300 digits; shorten it.") from error


def apply_setting(tables: dict[str, Any], setting: str) -> None:
    """Apply one `key=value` to `tables`; key and value are TOML, and a bare word is taken as a string.

    Raises:
        ConfigError: there is no `=`, the key is not a TOML key, or a list, table or quoted string is not TOML.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key.strip() or not text.strip():
        raise ConfigError(f"--set {setting}: must be KEY=VALUE, such as loss.temperature=4.")
    try:
        nested = _parsed(f"{' '.join(key.split())} = 0", f"--set {setting:.80}")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"--set {setting}: {key!r} is no key; {_A_KEY}") from error
    if not nested:  # `#loss.temperature=4`
        raise ConfigError(f"--set {setting}: {key!r} is a comment; {_A_KEY}")
    _merge(tables, _filled(nested, _parse_value(setting, text.strip())))


def _filled(nested: Any, value: Any) -> Any:
    """`nested`, tables of one key each, with `value` at the innermost key."""
    if not isinstance(nested, dict):
        return value
    ((key, below),) = nested.items()
    return {key: _filled(below, value)}


def _parse_value(setting: str, text: str) -> Any:
    try:
        parsed = _parsed(f"value = {text}", f"--set {setting:.80}")
    except tomllib.TOMLDecodeError as error:
        if text[0] in "[{\"'":
            raise ConfigError(f"--set {setting}: {text} is no TOML value ({error}); strings need quotes.") from error
        return text
    value = parsed["value"]
    return value if len(parsed) == 1 and isinstance(value, bool | int | float | str | list | dict) else text


def _merge(tables: dict[str, Any], new: dict[str, Any], path: KeyPath = ()) -> None:
    """Merge `new` into `tables`; an empty table empties the existing one."""
    for key, value in new.items():
        old, at = tables.get(key), (*path, key)
        are_tables = isinstance(value, dict) and isinstance(old, dict)
        if value and are_tables and (is_own_table(at) or not (is_range(value) or is_range(old))):
            _merge(tables[key], value, at)
        else:
            tables[key] = value
