"""Which programs use a shared cache: each of them holds a shared lock there.

What one program has prepared, others may use at once, so none may delete its own files unless it is alone. One that is
killed while it writes may leave gigabytes under hidden names; the next one that begins alone deletes them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from distill_tune.atomic import remembering, remove_leftovers
from distill_tune.errors import InputError
from distill_tune.export.lock_files import is_locked, locked
from distill_tune.export.result_folder import SHARED_CACHE

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
            with suppress(BlockingIOError):  # another program is at work
                self._remove_leftovers()
            self._file = locked(self._path, fcntl.LOCK_SH)
        return self

    def _remove_leftovers(self) -> None:
        file = locked(self._path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            if is_locked(self._path):  # not on a file system without locks, where others are not noticed
                remove_leftovers(self._path.parent)
        finally:
            os.close(file)

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
