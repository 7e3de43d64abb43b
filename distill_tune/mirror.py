"""Storage at a URI: results are written to a local folder and copied to the object store as they grow.

A search appends to files, locks them and maps them into memory; an object store supports none of these. So it works in
a local folder, and changes are copied periodically and at the end.

At any instant, what has been copied is a result that another machine can resume: logbooks are read first and written
last, so that everything they mention is there; files deleted here are deleted there after that.
"""

from __future__ import annotations

import atexit
import fcntl
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distill_tune.errors import ConfigError, StorageError, one_line
from distill_tune.growing_files import files_in, stamp_of, whole_lines
from distill_tune.object_store import Store, folder_here

EVERY_S = 20.0
"""Seconds from the end of one copy to the start of the next: how much work a lost machine can cost."""
_AT_A_TIME = 8
"""Files copied concurrently: most are small, and wait for the store's answer rather than for bandwidth."""
_UNKNOWN = (-1, 0)
"""The stamp of a file that is in the store, but may differ from the local one."""


class Mirror:
    """A local folder of results and its copy in an object store."""

    def __init__(self, uri: str, logbook: str):
        """Open the store.

        Args:
            uri: `s3://bucket/folder` or `gs://bucket/folder`.
            logbook: the name of the files that record what else is in a result.

        Raises:
            ConfigError: as for `Store`, or the user's home folder cannot be determined.
        """
        self.store, self.folder, self._logbook = Store(uri), folder_here(uri), logbook
        self._there: dict[Path, tuple[int, int]] = {}
        """Path relative to the folder, to the file's size and time when it was copied."""
        self.problem = ""
        """Why the last copy failed; empty if it did not."""

    @property
    def names(self) -> list[str]:
        """Names of the results in the store."""
        return self.store.names(self._logbook)

    def fetch(self, name: str) -> bool:
        """Download a result, unless the local copy is the same or ahead of it.

        Returns:
            Whether the local copy is ahead of the store's.

        Raises:
            ConfigError: the two have diverged, a program is at work in the local copy, or the store cannot be read.
        """
        there, book = self.store.listed(name), Path(name, self._logbook)
        if book not in there:
            return (self.folder / book).is_file()
        with self.store.readable():
            copies = [self._both(path, path in there) for path in {book, *self._books_here(name)}]
        if all(ours.startswith(theirs) for ours, theirs in copies):
            self._there |= {path: self._same(path, info) or _UNKNOWN for path, info in there.items()}
            return any(ours != theirs for ours, theirs in copies)
        if not all(theirs.startswith(ours) for ours, theirs in copies):
            raise ConfigError(
                f"--name {name}: {self.store.place(name)} and {self.folder / name} have diverged; "
                "delete the one that you do not want."
            )
        self._check_nobody_is_at_work(book)
        shutil.rmtree(self.folder / name, ignore_errors=True)
        with self.store.readable(), ThreadPoolExecutor(_AT_A_TIME) as pool:
            for some in (there.keys() - {book}, [book]):  # so that a copy that is cut short has no logbook
                list(pool.map(self._bring, some))
        self._there |= {path: stamp for path in there if (stamp := stamp_of(self.folder / path))}
        return False

    def _books_here(self, name: str) -> Iterator[Path]:
        """All logbooks of a result: a search within another's folder continues independently of it."""
        return (path.relative_to(self.folder) for path in (self.folder / name).rglob(self._logbook))

    def _both(self, book: Path, is_there: bool) -> tuple[bytes, bytes]:
        """A logbook's local and stored content, each empty if there is none."""
        return _intact(self.folder / book), self.store.read(book) if is_there else b""

    def _check_nobody_is_at_work(self, book: Path) -> None:
        """Refuse to replace a local result whose logbook is locked, by a search that others took for lost."""
        name, place = book.parts[0], self.folder / book
        try:
            with place.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return
        except BlockingIOError as error:
            raise ConfigError(
                f"--name {name}: another program is at work in {place.parent}, from which {self.store.place(name)} has "
                "gone on; end that program first."
            ) from error

    def _same(self, path: Path, info: Any) -> tuple[int, int] | None:
        """The stamp of a local file, or None if it is missing or has changed since it was copied."""
        stamp = stamp_of(self.folder / path)
        is_same = stamp is not None and stamp[0] == info.size and stamp[1] <= info.mtime_ns
        return stamp if is_same else None

    def _bring(self, path: Path) -> None:
        self.store.bring(path, self.folder / path)

    @contextmanager
    def kept(self, folder: Path, say: Callable[[str], object]) -> Iterator[None]:
        """Copy a result repeatedly while the block runs, and once more when it has ended.

        `say` is called when a copy fails, once until one succeeds again; `problem` describes the last failure.
        """
        is_over = threading.Event()
        copying = threading.Thread(target=self._keep, args=(folder.name, is_over, say), name="mirror", daemon=True)
        copying.start()
        try:
            yield
        finally:
            is_over.set()
            try:
                copying.join()  # copying in this thread would let a store that does not answer block a Ctrl-C
            except KeyboardInterrupt:  # the block's outcome is complete locally; `check_copied` reports the problem
                self.problem = "interrupted"
                _wait_for_no_answers()

    def _keep(self, name: str, is_over: threading.Event, say: Callable[[str], object]) -> None:
        is_last = False
        while not is_last:
            is_last = is_over.is_set()
            self._try(name, say)
            is_over.wait(EVERY_S)

    def _try(self, name: str, say: Callable[[str], object]) -> None:
        try:
            self.push(name)
            self.problem = ""
        except Exception as error:  # any error: a thread that dies silently would leave a result half copied
            if not self.problem:
                say(f"warning: {self.store.place(name)} cannot be written ({one_line(error)}); it is tried again")
            self.problem = one_line(error)

    def push(self, name: str) -> None:
        """Copy what has changed in a result.

        Raises:
            OSError: the store cannot be reached or refuses the write.
        """
        known = self._here(name)  # what is gone by now is mentioned by no logbook, since those are read below
        books = {path: _intact(self.folder / path) for path in known if path.name == self._logbook}
        self._check_alone(name, books)
        others = (path for path in self._here(name) if path not in books)
        stamps = {path: stamp for path in others if (stamp := stamp_of(self.folder / path))}
        changed = [path for path, stamp in stamps.items() if self._there.get(path) != stamp]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for path, is_there in zip(changed, pool.map(self._send, changed), strict=True):
                if is_there:
                    self._there[path] = stamps[path]
        for path, content in books.items():
            if self._there.get(path) != (stamp := (len(content), 0)):
                self._there[path] = _UNKNOWN  # a store may have written what it reports as failed
                self.store.write(path, content)
                self._there[path] = stamp
        here = {*known, *stamps}
        for path in [path for path in self._there if path.parts[0] == name and path not in here]:
            self.store.delete(path)
            del self._there[path]

    def _check_alone(self, name: str, books: Mapping[Path, bytes]) -> None:
        """Refuse to overwrite what another machine has written, or to delete a result because its local copy is gone.

        Raises:
            OSError: a stored logbook is not a prefix of the local one, or the result's own logbook is gone locally.
        """
        if (book := Path(name, self._logbook)) in self._there and book not in books:
            raise FileNotFoundError(f"{self.folder / book} is gone")
        for path, content in books.items():
            size, before = self.store.size(path), self._there.get(path, (0, 0))
            if before != _UNKNOWN and size not in (0, before[0]) and not content.startswith(self.store.read(path)):
                raise FileExistsError(f"another program has written {path.name} there")

    def _here(self, name: str) -> list[Path]:
        return [path.relative_to(self.folder) for path in files_in(self.folder / name)]

    def _send(self, path: Path) -> bool:
        """Copy a file; False if it has disappeared meanwhile."""
        try:
            self.store.send(self.folder / path, path)
        except FileNotFoundError:
            if (self.folder / path).exists():
                raise
            return False
        return True

    def check_copied(self, folder: Path, way_out: str = "copy it") -> None:
        """Check that all of a result is in the store.

        Args:
            folder: the result's local folder.
            way_out: what the user can do if it is not.

        Raises:
            StorageError: the last copy failed.
        """
        if self.problem:
            place = self.store.place(folder.name)
            raise StorageError(f"{place} cannot be written ({self.problem}); all of it is in {folder}: {way_out}.")


def _intact(book: Path) -> bytes:
    """The intact lines of a logbook; empty if there is no file."""
    return b"".join(line for line, _ in whole_lines(book)) if book.is_file() else b""


def _wait_for_no_answers() -> None:
    """Let the process exit while copies are in flight; Arrow would wait for each, a minute or two without an answer."""
    from pyarrow import fs

    atexit.unregister(fs.ensure_s3_finalized)
