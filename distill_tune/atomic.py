"""Files and folders that appear whole or not at all: written under a hidden name next to their place, then renamed.

A program that dies in between leaves a hidden file or folder that nothing reads, until `remove_leftovers` is called.
"""

import fcntl
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path

from distill_tune.paths import real_path

_NEW_FOLDER = ".new-"
"""Begins the hidden names of folders that are being filled."""
_HIDDEN = re.compile(rf"{re.escape(_NEW_FOLDER)}.+|\..+\.[0-9a-f]{{16}}")
"""Hidden names of folders and files that are being written."""
_AT_WORK_S = 3600.0
_made: ContextVar[list[Path] | None] = ContextVar("made", default=None)


@contextmanager
def remembering() -> Iterator[list[Path]]:
    """Paths that this program puts in place while the block runs, in order; not those of other programs.

    Nor those that one must keep (`outlives_a_refusal`).
    """
    made: list[Path] = []
    token = _made.set(made)
    try:
        yield made
    finally:
        _made.reset(token)


def outlives_a_refusal(path: Path) -> None:
    """Forget that this program made `path`: it took long, and is of use to the next one that needs it."""
    if (made := _made.get()) is not None:
        made[:] = [each for each in made if each != path]


def _remember(path: Path) -> None:
    if (made := _made.get()) is not None:
        made.append(path)


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """Make the folder of `path`; if the block fails, remove it again unless it was there before."""
    new = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):  # not empty, so others use it too
                folder.rmdir()
        raise


@contextmanager
def alone_in(folder: Path, before_waiting: Callable[[], object]) -> Iterator[None]:
    """Let one program at a time run such a block for a folder; no limit if folders cannot be locked.

    Args:
        folder: made if missing; removed again if the block fails and has left nothing there.
        before_waiting: called once if another program holds the lock.
    """
    with folder_for(folder / "what the block puts there"):
        lock = os.open(folder, os.O_RDONLY)
        try:
            _wait_for(lock, before_waiting)
            yield
        finally:
            os.close(lock)


def _wait_for(lock: int, before_waiting: Callable[[], object]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        before_waiting()
        fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError:  # a file system without locks, or without locks on folders
        return


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to, which is renamed to `path` if the block succeeds."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # nodes and containers may share process ids
    with folder_for(path):
        try:
            yield temporary
            temporary.replace(path)
            _remember(path)
        finally:
            temporary.unlink(missing_ok=True)


def place_of(output: Path) -> AbstractContextManager[Path]:
    """A path to write a user's `output` to, whole or not at all; a pipe or device is written to directly.

    A file renamed to `/dev/null` would grow with everything that is ever discarded there.
    """
    if output.exists() and not output.is_file():
        return nullcontext(output)
    place = real_path(output)
    place.parent.stat()  # a missing folder is an error; it is not made
    return new_file(place)


@contextmanager
def new_folder(folder: Path, is_whole: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """An empty folder to fill, which replaces `folder` if the block succeeds.

    An existing `folder` stays if it `is_whole`: another program has just put it there.
    """
    with folder_for(folder), _emptied_afterwards(folder.parent) as temporary:
        new = temporary / "new"
        new.mkdir()
        yield new
        if folder.exists() and not is_whole(folder):
            with suppress(FileNotFoundError):  # another program is replacing it too and has moved it away
                folder.rename(temporary / "old")
        try:
            new.rename(folder)
        except OSError:
            if not is_whole(folder):
                raise
        else:
            _remember(folder)


@contextmanager
def _emptied_afterwards(place: Path) -> Iterator[Path]:
    """A hidden folder in `place`, deleted afterwards with its content."""
    with tempfile.TemporaryDirectory(dir=place, prefix=_NEW_FOLDER, ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)


def remove_leftovers(folder: Path) -> None:
    """Delete what programs that have died were writing below a folder, as far as possible; no other may write there.

    What has grown in the last hour stays: locks of some network file systems do not tell of another machine's program.
    """
    before_s = time.time() - _AT_WORK_S
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in filter(_HIDDEN.fullmatch, [*files, *folders])):
            with suppress(OSError):  # another user's
                if max(each.stat().st_mtime for each in [path, *path.rglob("*")]) < before_s:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        folders[:] = [name for name in folders if not name.startswith(".")]
