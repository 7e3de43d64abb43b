"""Reading a configuration: the TOML file, then each `--set KEY=VALUE` over it."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from distill_tune.config.ranges import is_range
from distill_tune.config.space import Space
from distill_tune.errors import ConfigError


def load_space(path: Path, settings: list[str]) -> Space:
    """The search space at `path` with `settings` ("loss.temperature=4") laid over it.

    Raises:
        ConfigError: the file is missing, is no TOML, or breaks a rule; one line, with the file's name.
    """
    return read_space(path, settings)[0]


def read_space(path: Path, settings: list[str]) -> tuple[Space, dict[str, Any]]:
    """The search space at `path`, and its tables as read, ranges included; see `load_space`."""
    tables = read_toml(path)
    for setting in settings:
        apply_setting(tables, setting)
    try:
        return Space.parse(tables), tables
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: it is missing, unreadable, or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; the shipped search spaces are in search_spaces/.") from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is no text file (a TOML configuration is UTF-8 text).") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is no valid TOML: {error}.") from error


def apply_setting(tables: dict[str, Any], setting: str) -> None:
    """Lay one `key=value` over `tables`; key and value are TOML, and a bare word is taken as a string.

    Raises:
        ConfigError: there is no `=`, or the key is no TOML key.
    """
    key, equals, value = setting.partition("=")
    if not equals or not key.strip() or not value.strip():
        raise ConfigError(f"--set {setting}: must be KEY=VALUE, such as loss.temperature=4.")
    _merge(tables, _parse_setting(setting, key, value))


def _parse_setting(setting: str, key: str, value: str) -> dict[str, Any]:
    for text in (value, tomli_w.dumps({"v": value.strip()}).partition("=")[2]):
        try:
            return tomllib.loads(f"{key} = {text}")
        except tomllib.TOMLDecodeError:
            continue
    raise ConfigError(f"--set {setting}: {key!r} is no key; write it as section.key, such as loss.temperature=4.")


def _merge(tables: dict[str, Any], new: dict[str, Any]) -> None:
    for key, value in new.items():
        old = tables.get(key)
        if isinstance(value, dict) and not is_range(value) and isinstance(old, dict) and not is_range(old):
            _merge(old, value)
        else:
            tables[key] = value
