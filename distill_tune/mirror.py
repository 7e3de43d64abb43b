"""A storage that is a URI: its folders are on this machine, and are copied to the object store while they grow.

A search appends to files, locks them and maps them into memory, and an object store can do none of these. So it works
in a folder of this machine, and what has changed there is copied from time to time, and at the end.

Whatever has been copied is a result that can be taken up, at any instant and on another machine: logbooks are read
first and written last, so that nothing is missing of which they tell; and what is not there any more goes after them.
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
"""From the end of one copy to the beginning of the next: what a lost machine takes with it."""
_AT_A_TIME = 8
"""Files on their way: most are small, and wait for the store's answer rather than for the network."""
_UNKNOWN = (-1, 0)
"""The stamp of what is in the store, but may be another than is here."""


class Mirror:
    """A folder of results on this machine, and its copy in an object store."""

    def __init__(self, uri: str, logbook: str):
        """Find the store.

        Args:
            uri: `s3://bucket/folder` or `gs://bucket/folder`.
            logbook: the name of the files that tell what else is in a result.

        Raises:
            ConfigError: as `Store`; or nobody knows where this user's files are.
        """
        self.store, self.folder, self._logbook = Store(uri), folder_here(uri), logbook
        self._there: dict[Path, tuple[int, int]] = {}
        """By name below the folder: size and time of each file when it was copied."""
        self.problem = ""
        """Why the last copy failed; empty where it did not."""

    @property
    def names(self) -> list[str]:
        """Of the results in the store."""
        return self.store.names(self._logbook)

    def fetch(self, name: str) -> bool:
        """Bring a result here, unless what is here is the same or has gone on from it.

        Returns:
            Whether what is here has gone on from what is there.

        Raises:
            ConfigError: both have gone on, each by itself, or a program is at work in what is here, or the store cannot
                be read.
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
                f"--name {name}: {self.store.place(name)} and {self.folder / name} have gone on from each other; "
                "delete the one that you do not want."
            )
        self._check_nobody_is_at_work(book)
        shutil.rmtree(self.folder / name, ignore_errors=True)
        with self.store.readable(), ThreadPoolExecutor(_AT_A_TIME) as pool:
            for some in (there.keys() - {book}, [book]):  # a copy that is cut short has no logbook of its own
                list(pool.map(self._bring, some))
        self._there |= {path: stamp for path in there if (stamp := stamp_of(self.folder / path))}
        return False

    def _books_here(self, name: str) -> Iterator[Path]:
        """All logbooks of a result: a search that stands beside another goes on by itself."""
        return (path.relative_to(self.folder) for path in (self.folder / name).rglob(self._logbook))

    def _both(self, book: Path, is_there: bool) -> tuple[bytes, bytes]:
        """A logbook as it is here, and as it is there; empty where it is not."""
        ours = whole_lines(self.folder / book) if (self.folder / book).is_file() else b""
        return ours, self.store.read(book) if is_there else b""

    def _check_nobody_is_at_work(self, book: Path) -> None:
        """Refuse to replace a result here whose logbook is locked: by a search that others have taken for lost."""
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
        """The stamp of a file here that has not changed since it was copied."""
        stamp = stamp_of(self.folder / path)
        return stamp if stamp and (stamp[0], True) == (info.size, stamp[1] <= info.mtime_ns) else None

    def _bring(self, path: Path) -> None:
        self.store.bring(path, self.folder / path)

    @contextmanager
    def kept(self, folder: Path, say: Callable[[str], object]) -> Iterator[None]:
        """Copy a result while the block runs, and once more when it has ended.

        `say` hears of a copy that fails, once until one succeeds; `problem` tells of the last.
        """
        is_over = threading.Event()
        copying = threading.Thread(target=self._keep, args=(folder.name, is_over, say), name="mirror", daemon=True)
        copying.start()
        try:
            yield
        finally:
            is_over.set()
            try:
                copying.join()  # in this thread nothing is copied: a store that does not answer would hold up a Ctrl-C
            except KeyboardInterrupt:  # what the block has come to is here, and whoever asks is told
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
        except Exception as error:  # whatever it is: a thread that ends in silence would leave a result half copied
            if not self.problem:
                say(f"warning: {self.store.place(name)} cannot be written ({one_line(error)}); it is tried again")
            self.problem = one_line(error)

    def push(self, name: str) -> None:
        """Copy what has changed in a result.

        Raises:
            OSError: the store cannot be reached, or refuses.
        """
        known = self._here(name)  # what is not among it is nothing that a logbook tells of, for these are read after it
        books = {path: whole_lines(self.folder / path) for path in known if path.name == self._logbook}
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
                self._there[path] = _UNKNOWN  # a store may have written what it says it has not
                self.store.write(path, content)
                self._there[path] = stamp
        here = {*known, *stamps}
        for path in [path for path in self._there if path.parts[0] == name and path not in here]:
            self.store.delete(path)
            del self._there[path]

    def _check_alone(self, name: str, books: Mapping[Path, bytes]) -> None:
        """Refuse to replace what another machine has written, and to delete a result there that somebody deletes here.

        Raises:
            OSError: a logbook there is no beginning of the one here, or the result's own is here no more.
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
        """Copy a file; False where it has gone meanwhile."""
        try:
            self.store.send(self.folder / path, path)
        except FileNotFoundError:
            if (self.folder / path).exists():
                raise
            return False
        return True

    def check_copied(self, folder: Path, way_out: str = "copy it") -> None:
        """Whether all of a result is there.

        Args:
            folder: of the result here.
            way_out: what the user can do if it is not.

        Raises:
            StorageError: the last copy has failed.
        """
        if self.problem:
            place = self.store.place(folder.name)
            raise StorageError(f"{place} cannot be written ({self.problem}); all of it is in {folder}: {way_out}.")


def _wait_for_no_answers() -> None:
    """End the process with copies on their way; Arrow would have it wait for each, a minute or two if none comes."""
    from pyarrow import fs

    atexit.unregister(fs.ensure_s3_finalized)
