"""The result folder `<storage>/<name>/`: claimed once, never shared by two searches."""

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
"""Below the storage: what one search has prepared is found by the next."""
CACHE, SEARCH_TOML, TENSORBOARD, LOGS = "cache", "search.toml", "tensorboard", "logs"
"""In a result folder: its own prepared data and teachers, the settled space, TensorBoard's runs, what failed trials
raised. The logbook's names are in `tuning/state/logbook.py`, those of students' folders in `students/_folder.py`."""
SUMMARY, REPORT, BASELINE = "summary.json", "report.html", "baseline"
"""And what came out, in numbers and as a page; and the search without a teacher, where there is one."""
_MARK = ".training"
"""In the folder of a training that is at work."""
_LONGEST_NAME = 200
"""In bytes; file systems end at 255, and names of ours are made of this one."""


def default_name(space_path: Path) -> str:
    """`digits-20261124-131500`: the space's name and the time."""
    return f"{_stem(space_path)}-{time.strftime('%Y%m%d-%H%M%S')}"


def is_default_name(name: str, space_path: Path) -> bool:
    """Whether it is the `default_name` of that space at some time, or one after it."""
    return re.fullmatch(rf"{re.escape(_stem(space_path))}-\d{{8}}-\d{{6}}(-\d+)?", name) is not None


def free_after(folder: Path) -> Path:
    """The first of a default name and those after it that nobody has: `...-131500`, `...-131500-2`, `...-131500-3`."""
    names = chain([folder.name], (f"{folder.name}-{number}" for number in count(2)))
    return next(path for path in map(folder.with_name, names) if not os.path.lexists(path))


def _stem(space_path: Path) -> str:
    return re.sub(r"[^\w.-]|^[^\w]", "_", space_path.stem).encode()[: _LONGEST_NAME // 2].decode(errors="ignore")


def new_result(storage: Path, name: str | None, space_path: Path) -> Path:
    """The folder of a new result, of that name or, with None, of a default one that is free; it is not made yet.

    Another program may take a free default name at any time, so that whoever makes its folder looks again.

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
    """A `new_result` that is made at once and no other program takes; it goes again if nothing is put there.

    Raises:
        ConfigError: as `free_folder`; or another program has taken that name in the same instant.
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
    """A new result's folder with this program's mark, and which of it and those above were not there before."""
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
    """The folder of a new search; it is not made yet.

    Raises:
        ConfigError: the name is no folder name, the folder holds something, or something else has its place.
    """
    check_name(name)
    folder = storage / name
    if folder.is_dir() and any(folder.iterdir()):
        raise _held(folder)
    _check_place(folder, f"--name {name}")
    _check_place(storage / SHARED_CACHE, f"--storage {storage}")
    return folder


def _check_place(path: Path, key: str) -> None:
    """Refuse what is in a folder's place; `key` is what has named it."""
    if (path.exists() or path.is_symlink()) and not path.is_dir():
        what = "is a file" if path.exists() else "leads nowhere"
        raise ConfigError(f"{key}: {path} must be a folder, but {what}; delete it or choose another.")


def check_name(name: str) -> None:
    """Refuse what is no name of a folder below the storage.

    Raises:
        ConfigError: it has other characters, or too many.
    """
    if not re.fullmatch(r"[\w][\w.-]*", name):
        raise ConfigError(
            f"--name {name!r:.80}: must be letters, digits, '.', '_' and '-', and begin with a letter or digit."
        )
    if (size := len(os.fsencode(name))) > _LONGEST_NAME:
        raise ConfigError(f"--name {name:.40}...: must have at most {_LONGEST_NAME} bytes, but has {size}; shorten it.")


@contextmanager
def nothing_left_on_refusal(storage: Path, until: ExitStack | None = None) -> Iterator[None]:
    """What this program has put below `storage` is deleted again if its input is refused.

    A full disk refuses nothing: the teacher that was trained before it is found again once there is room.
    Only that: another search may have begun beside it, and its owner may have put files there. Folders go if they were
    not there before and are empty. While another program is at work on the cache all of it stays, since that may have
    found there what this one has made; and so it is with what this program uses, to the end of the block or of `until`.
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
    """A file or folder below `above`, and the folders between that are empty without it."""
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
    """The configuration with its ranges, and what the result depends on beside it."""
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
    """The same files under another name: hard links where the file system has them, copies elsewhere.

    Hidden ones are left out: another program may be at work on them (`atomic.py`); and so are some of `source`'s own.

    Raises:
        CacheError: there is no such folder.
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
