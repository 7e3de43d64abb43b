"""Which programs use a shared cache: each of them holds a shared lock there.

What one program has prepared, others may use at once, so none may delete its own files unless it is alone. One that is
killed while it writes may leave gigabytes under hidden names; the next one that begins alone deletes them.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from distill_tune.atomic import remove_leftovers

_LOCK = ".in-use"


class CacheUse:
    """`with CacheUse(cache) as use: ...` tells other programs that this one reads and writes there.

    The last program to leave deletes the lock file, and the folders that it created for it if they are empty. If files
    cannot be locked or created, no other program is noticed.
    """

    def __init__(self, cache: Path):
        """`cache` is created on entry if it is missing."""
        self._path = cache / _LOCK
        self._new_folders = [folder for folder in (cache, *cache.parents) if not folder.exists()]
        self._file: int | None = None

    def __enter__(self) -> CacheUse:
        with suppress(OSError):  # the next write there reports what is wrong
            self._file = self._shared()
        return self

    def is_alone(self) -> bool:
        """Whether no other program uses the cache; to be asked last.

        If so, none can begin to from then on; otherwise this program has lost its own lock (see flock(2)).
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
        with suppress(OSError):  # another user's folder, or one that is not empty
            if self.is_alone():
                self._path.unlink(missing_ok=True)
                for folder in self._new_folders:
                    folder.rmdir()
        os.close(self._file)

    def _shared(self) -> int:
        """The lock file, opened and locked; tried again if it was deleted in between."""
        while True:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = _opened(self._path)
            except FileNotFoundError:  # its folder was deleted too
                continue
            with suppress(OSError):  # another program is at work, or a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_there(file):
                    remove_leftovers(self._path.parent)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_SH)
            if self._is_there(file):
                return file
            os.close(file)

    def _is_there(self, file: int) -> bool:
        """Whether an opened lock file has not been deleted."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


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
