"""The result folder `<storage>/<name>/`: claimed once, and never shared by two searches."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

import tomli_w

from distill_tune.atomic import new_file, remembering
from distill_tune.config import Space
from distill_tune.config.load import MADE_WITH
from distill_tune.config.writing import as_toml
from distill_tune.errors import CacheError, ConfigError, InputError
from distill_tune.export.cache_use import CacheUse
from distill_tune.export.versions import machine, versions
from distill_tune.growing_files import files_in

SHARED_CACHE = ".cache"
"""Below the storage: the next search finds here what one has prepared."""
CACHE, SEARCH_TOML, TENSORBOARD, LOGS = "cache", "search.toml", "tensorboard", "logs"
"""In a result folder: its prepared data and teachers, the settled space, TensorBoard's runs, the errors of failed
trials. The logbook's names are in `tuning/state/logbook.py`, those of students' folders in `students/_folder.py`."""
SUMMARY, REPORT, BASELINE = "summary.json", "report.html", "baseline"
"""Also there: the results in numbers and as a page, and the search without a teacher, if there is one."""
_MARK = ".training"
"""Marks the folder of a training that is running."""
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


@contextmanager
def own_folder(storage: Path, name: str | None, space_path: Path) -> Iterator[Path]:
    """A `new_result` that is created at once and claimed from other programs; removed again if it stays empty.

    Raises:
        ConfigError: as `free_folder`, or another program has taken that name at the same instant.
    """
    folder, new_folders = _taken(storage, name, space_path)
    try:
        yield folder
    finally:
        (folder / _MARK).unlink(missing_ok=True)
        for each in new_folders:
            with suppress(OSError):  # not empty
                each.rmdir()


def _taken(storage: Path, name: str | None, space_path: Path) -> tuple[Path, list[Path]]:
    """A new result's folder with this program's mark, and which of it and its parents are new."""
    while True:
        folder = new_result(storage, name, space_path)
        new_folders = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        try:
            (folder / _MARK).touch(exist_ok=False)
        except FileExistsError as error:
            if name is not None:
                raise _held(folder) from error
        else:
            return folder, new_folders


def _held(folder: Path) -> ConfigError:
    return ConfigError(
        f"--name {folder.name}: {folder} exists and holds another search; choose another name or delete it."
    )


def free_folder(storage: Path, name: str) -> Path:
    """The folder for a new search; it is not created yet.

    Raises:
        ConfigError: the name is not a valid folder name, the folder is not empty, or its path is not a folder.
    """
    check_name(name)
    folder = storage / name
    if folder.is_dir() and any(folder.iterdir()):
        raise _held(folder)
    _check_place(folder, f"--name {name}")
    _check_place(storage / SHARED_CACHE, f"--storage {storage}")
    return folder


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


@contextmanager
def nothing_left_on_refusal(storage: Path, until: ExitStack | None = None) -> Iterator[None]:
    """Delete what this program has put into the shared cache of `storage` if its input is refused.

    What took long stays (`atomic.outlives_a_refusal`): a teacher that was trained before the refusal is found again. A
    full disk is no refusal, and everything whole stays. Nothing else is deleted, since other searches and users may
    have put files there, apart from folders that are left empty. While another program uses the cache everything stays,
    since it may rely on what this one has made; in turn, this program counts as using the cache until the end of the
    block or of `until`.
    """
    cache = storage / SHARED_CACHE
    with ExitStack() as stack:
        use = stack.enter_context(CacheUse(cache))
        with remembering() as made:
            try:
                yield
            except InputError:
                if use.is_alone():
                    for path in reversed(made):
                        _delete(path, above=cache)
                raise
        if until is not None:
            until.push(stack.pop_all())


def _delete(path: Path, above: Path) -> None:
    """Delete a file or folder below `above`, and the folders in between that this leaves empty."""
    if above not in path.parents:
        return
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    for folder in path.parents[: path.parents.index(above)]:
        with suppress(OSError):
            folder.rmdir()


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


def link_tree(source: Path, target: Path, leave_out: Collection[str] = ()) -> None:
    """Put the files of `source` below `target` too: as hard links if the file system has them, else as copies.

    Hidden files are left out, since another program may be writing them (`atomic.py`), and so are the top-level entries
    of `source` named in `leave_out`.

    Raises:
        CacheError: `source` is not a folder.
    """
    if not source.is_dir():
        raise CacheError(f"{source}: was prepared for this search, but is not there any more; start again.")
    for path in files_in(source):
        name = path.relative_to(source)
        if name.parts[0] in leave_out:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.hardlink_to(path)
        except OSError:  # another file system, or one without links
            shutil.copyfile(path, place)
