"""Who is at work on a shared cache: each program holds a lock there that it shares with the others.

What a program has prepared another finds at once, so that none may delete its own again unless it is alone.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

_LOCK = ".in-use"


class CacheUse:
    """`with CacheUse(cache) as use: ...`: others know that this program reads and writes there.

    Whoever is the last there takes the lock's file away, and the folders that were made for it if they are empty. Where
    files cannot be locked, or not be made, nobody is known of.
    """

    def __init__(self, cache: Path):
        """`cache` is made if it is not there."""
        self._path = cache / _LOCK
        self._new_folders = [folder for folder in (cache, *cache.parents) if not folder.exists()]
        self._file: int | None = None

    def __enter__(self) -> CacheUse:
        with suppress(OSError):  # whoever writes there next says what is wrong with it
            self._file = self._shared()
        return self

    def is_alone(self) -> bool:
        """Whether no other program is at work there. It is asked last.

        If it is alone none can begin from then on; else this program has lost its own lock, as flock(2) has it.
        """
        if self._file is None:
            return True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks
            return True
        return True

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is None:
            return
        with suppress(OSError):  # somebody else's folder, or one that is not empty
            if self.is_alone():
                self._path.unlink(missing_ok=True)
                for folder in self._new_folders:
                    folder.rmdir()
        os.close(self._file)

    def _shared(self) -> int:
        """The lock's file, locked; anew where it was taken away in between."""
        while True:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = _opened(self._path)
            except FileNotFoundError:  # and its folder
                continue
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file), self._path.stat()):
                    return file
            os.close(file)


def _opened(path: Path) -> int:
    """For reading where it is another user's, which suffices but on a network's file system.

    Raises:
        FileNotFoundError: its folder is not there.
        PermissionError: it may not be opened, or not made.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as denied:
        try:
            return os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            raise denied from None
