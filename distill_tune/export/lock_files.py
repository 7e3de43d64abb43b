"""Lock files: each program that needs one makes it and holds it locked, and the last to leave may delete it.

A lock ends with its process, even by `kill -9`. On a file system without locks no other program is noticed.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path


def locked(path: Path, how: int) -> int:
    """The lock file, opened and locked as for flock(2); tried again if it was deleted in between.

    Raises:
        BlockingIOError: another program holds it, and `how` is not to wait.
        PermissionError: it may not be opened or created.
    """
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = _opened(path)
        except FileNotFoundError:  # its folder was deleted too
            continue
        _lock(file, how)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file), path.stat()):
                return file
        os.close(file)


def is_locked(path: Path) -> bool:
    """Whether a program holds the lock file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it is gone, or cannot be locked
        return False
    return False


def _lock(file: int, how: int) -> None:
    try:
        fcntl.flock(file, how)
    except BlockingIOError:
        os.close(file)
        raise
    except OSError:  # a file system without locks
        return


def _opened(path: Path) -> int:
    """The opened lock file; only for reading if it is another user's, which suffices except on network file systems.

    Raises:
        FileNotFoundError: its folder does not exist.
        PermissionError: it may not be opened or created.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as denied:
        try:
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise denied from None
