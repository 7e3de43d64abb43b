"""The result folder `<storage>/<name>/`: which names and folders it can have, and what is written there."""

from __future__ import annotations

import json
import os
import re
import time
from itertools import chain, count
from pathlib import Path
from typing import Any

import tomli_w

from distill_tune.atomic import new_file
from distill_tune.config import Space
from distill_tune.config.load import MADE_WITH
from distill_tune.config.writing import as_toml
from distill_tune.errors import ConfigError
from distill_tune.export.lock_files import is_locked
from distill_tune.export.versions import machine, versions

SHARED_CACHE = ".cache"
"""Below the storage: the next search finds here what one has prepared."""
CACHE, SEARCH_TOML, TENSORBOARD, LOGS = "cache", "search.toml", "tensorboard", "logs"
"""In a result folder: its prepared data and teachers, the settled space, TensorBoard's runs, the errors of failed
trials. The logbook's names are in `tuning/state/logbook.py`, those of students' folders in `students/_folder.py`."""
SUMMARY, REPORT, BASELINE = "summary.json", "report.html", "baseline"
"""Also there: the results in numbers and as a page, and the search without a teacher, if there is one."""
MARK = ".training"
"""Locked in the folder of a training while it runs; what a killed one leaves is not locked."""
_LONGEST_NAME = 200
"""In bytes; file systems allow 255, and longer names are built from this one."""


def default_name(space_path: Path) -> str:
    """The space's name and the time, such as `digits-20261124-131500`."""
    return f"{_stem(space_path)}-{time.strftime('%Y%m%d-%H%M%S')}"


def is_default_name(name: str, space_path: Path) -> bool:
    """Whether it is the `default_name` of that space at any time, with or without a number after it."""
    return re.fullmatch(rf"{re.escape(_stem(space_path))}-\d{{8}}-\d{{6}}(-\d+)?", name) is not None


def free_after(folder: Path) -> Path:
    """The first free one of a default name and its successors: `...-131500`, `...-131500-2`, `...-131500-3`."""
    names = chain([folder.name], (f"{folder.name}-{number}" for number in count(2)))
    return next(path for path in map(folder.with_name, names) if not os.path.lexists(path))


def _stem(space_path: Path) -> str:
    return re.sub(r"[^\w.-]|^[^\w]", "_", space_path.stem).encode()[: _LONGEST_NAME // 2].decode(errors="ignore")


def new_result(storage: Path, name: str | None, space_path: Path) -> Path:
    """The folder for a new result, with that name or, if None, a free default one; it is not created yet.

    Another program may take a free default name at any time, so check again when creating the folder.

    Raises:
        ConfigError: as `free_folder`.
    """
    if name is not None:
        return free_folder(storage, name)
    folder = free_after(storage / default_name(space_path))
    check_name(folder.name)
    _check_place(storage / SHARED_CACHE, f"--storage {storage}")
    return folder


def held(folder: Path) -> ConfigError:
    """The error for a folder that a new result cannot have."""
    return ConfigError(
        f"--name {folder.name}: {folder} exists and holds another result; choose another name or delete it."
    )


def free_folder(storage: Path, name: str) -> Path:
    """The folder for a new result; it is not created yet.

    Raises:
        ConfigError: the name is not a valid folder name, the folder is not empty, or its path is not a folder.
    """
    check_name(name)
    folder = storage / name
    if folder.is_dir() and _is_used(folder):
        raise held(folder)
    _check_place(folder, f"--name {name}")
    _check_place(storage / SHARED_CACHE, f"--storage {storage}")
    return folder


def _is_used(folder: Path) -> bool:
    """Whether anything is in a folder, other than the mark of a training that was killed."""
    return any(each.name != MARK or is_locked(each) for each in folder.iterdir())


def _check_place(path: Path, key: str) -> None:
    """Refuse a path that exists but is not a folder; `key` is the option that named it."""
    if (path.exists() or path.is_symlink()) and not path.is_dir():
        what = "is a file" if path.exists() else "leads nowhere"
        raise ConfigError(f"{key}: {path} must be a folder, but {what}; delete it or choose another.")


def check_name(name: str) -> None:
    """Refuse a name that is not valid for a folder below the storage.

    Raises:
        ConfigError: it has invalid characters, or too many.
    """
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise ConfigError(
            f"--name {name!r:.80}: must be letters, digits, '.', '_' and '-', and begin with a letter or digit."
        )
    if (size := len(os.fsencode(name))) > _LONGEST_NAME:
        raise ConfigError(f"--name {name:.40}...: must have at most {_LONGEST_NAME} bytes, but has {size}; shorten it.")


def write_search_toml(folder: Path, space: Space, command: str) -> None:
    """Write the configuration with its ranges, and what else the result depends on."""
    record = {MADE_WITH: {"command": command, "machine": machine(), "cpus": os.cpu_count() or 0, **versions()}}
    text = as_toml(space) + "\n" + tomli_w.dumps(record)
    write_text(folder / SEARCH_TOML, text)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON atomically."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with new_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
