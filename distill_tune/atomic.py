"""Files and folders that appear whole or not at all: filled under a hidden name beside their place, then renamed.

A program that dies in between leaves a hidden name that nobody reads.
"""

import fcntl
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from contextvars import ContextVar
from pathlib import Path

from distill_tune.paths import real_path

_made: ContextVar[list[Path] | None] = ContextVar("made", default=None)


@contextmanager
def remembering() -> Iterator[list[Path]]:
    """What this program puts in place while the block runs, in order; what others put there meanwhile is not in it."""
    made: list[Path] = []
    token = _made.set(made)
    try:
        yield made
    finally:
        _made.reset(token)


def _remember(path: Path) -> None:
    if (made := _made.get()) is not None:
        made.append(path)


@contextmanager
def folder_for(path: Path) -> Iterator[None]:
    """The folder that `path` will be in; if the block ends in an error it goes again, unless it was there before."""
    new = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):  # not empty, so somebody else's too
                folder.rmdir()
        raise


@contextmanager
def alone_in(folder: Path, before_waiting: Callable[[], object]) -> Iterator[None]:
    """One program at a time is in such a block of a folder; where folders cannot be locked, all are.

    Args:
        folder: made if it is not there; if the block ends in an error and has put nothing there, it goes again.
        before_waiting: called once if another program is there.
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
    except OSError:  # a file system without locks, or without those of folders
        return


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Where to write what shall stand at `path`; it takes that place when the block ends without an error."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")  # nodes and containers may share process ids
    with folder_for(path):
        try:
            yield temporary
            temporary.replace(path)
            _remember(path)
        finally:
            temporary.unlink(missing_ok=True)


def place_of(output: Path) -> AbstractContextManager[Path]:
    """Where to write what is to stand at a user's `output`, whole or not at all; a pipe or device is written to itself.

    What took the place of `/dev/null` would be a file that grows with all that is thrown away.
    """
    if output.exists() and not output.is_file():
        return nullcontext(output)
    place = real_path(output)
    place.parent.stat()  # a folder that is not there is an error, and not made
    return new_file(place)


@contextmanager
def new_folder(folder: Path, is_whole: Callable[[Path], bool] = lambda folder: False) -> Iterator[Path]:
    """An empty folder to fill; it takes the place of `folder` when the block ends without an error.

    What was there goes, unless it `is_whole`: another program has then just put it there.
    """
    with folder_for(folder), _emptied_afterwards(folder.parent) as temporary:
        new = temporary / "new"
        new.mkdir()
        yield new
        if folder.exists() and not is_whole(folder):
            with suppress(FileNotFoundError):  # another program has moved it away, to replace it too
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
    """A hidden folder in `place` that goes with all that is in it."""
    with tempfile.TemporaryDirectory(dir=place, prefix=".new-", ignore_cleanup_errors=True) as temporary:
        yield Path(temporary)
