"""A training's claim to its result folder: it creates the folder at once, and holds a lock there while it runs.

A search claims its folder later, by the lock on its logbook (`tuning/state/claim.py`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from distill_tune.export.lock_files import locked
from distill_tune.export.result_folder import MARK, held, new_result


@contextmanager
def own_folder(storage: Path, name: str | None, space_path: Path) -> Iterator[Path]:
    """A `new_result` that is created at once and claimed from other programs; removed again if it stays empty.

    Raises:
        ConfigError: as `free_folder`, or another program has taken that name at the same instant.
    """
    folder, lock, new_folders = _taken(storage, name, space_path)
    try:
        yield folder
    finally:
        _release(folder, lock)
        for each in new_folders:
            with suppress(OSError):  # not empty
                each.rmdir()


def _taken(storage: Path, name: str | None, space_path: Path) -> tuple[Path, int, list[Path]]:
    """A new result's folder, this program's lock in it, and which of it and its parents are new."""
    while True:
        folder = new_result(storage, name, space_path)
        new_folders = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(exist_ok=name is not None)
            return folder, _claimed(folder), new_folders
        except FileExistsError as error:
            if name is not None:
                raise held(folder) from error


def _claimed(folder: Path) -> int:
    """The lock in a folder that was found to be free.

    Raises:
        FileExistsError: another training has claimed it since, and may have ended.
    """
    try:
        lock = locked(folder / MARK, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FileExistsError(folder) from error
    if any(each.name != MARK for each in folder.iterdir()):
        _release(folder, lock)
        raise FileExistsError(folder)
    return lock


def _release(folder: Path, lock: int) -> None:
    """Remove the mark while it is locked, so that no other program's mark is removed."""
    (folder / MARK).unlink(missing_ok=True)
    os.close(lock)
