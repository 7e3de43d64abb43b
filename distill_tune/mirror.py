"""A storage that is a URI: its folders are on this machine, and are copied to the object store while they grow.

A search appends to files, locks them and maps them into memory, and an object store can do none of these. So it works
in a folder of this machine, and what has changed there is copied from time to time, and at the end.

Whatever has been copied is a result that can be taken up, at any instant and on another machine: logbooks are read
first and written last, so that nothing is missing of which they tell; and what is not there any more goes after them.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from distill_tune.errors import ConfigError, StorageError, one_line

SCHEMES = ("s3", "gs")
EVERY_S = 20.0
"""From the end of one copy to the beginning of the next: what a lost machine takes with it."""
_AT_A_TIME = 8
"""Files on their way: most are small, and wait for the store's answer rather than for the network."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Where another store than Amazon's is: every tool for S3 knows these variables but Arrow (apache/arrow#49643)."""


class Mirror:
    """A folder of results on this machine, and its copy in an object store."""

    def __init__(self, uri: str, logbook: str):
        """Find the store, and see that it can be written to.

        Args:
            uri: `s3://bucket/folder` or `gs://bucket/folder`.
            logbook: the name of the files that tell what else is in a result.

        Raises:
            ConfigError: it is no such URI, or there is no such bucket, or it cannot be written to.
        """
        self.uri, self._logbook = uri, logbook
        self._files, self._root = _store(uri)
        self.folder = _folder_of(uri)
        self._there: dict[Path, tuple[int, int]] = {}
        """By name below the folder: size and time of each file when it was copied."""
        self.problem = ""
        """Why the last copy failed; empty where it did not."""
        self._check()

    def _check(self) -> None:
        bucket = self._root.partition("/")[0]
        try:
            if self._files.get_file_info(bucket).type.name != "Directory":
                raise ConfigError(f"--storage {self.uri}: there is no bucket {bucket!r}; make it, or name another.")
            token = f"{self._root}/.distill_tune"
            with self._files.open_output_stream(token) as file:
                file.write(b"may be deleted\n")
            self._files.delete_file(token)
        except OSError as error:
            raise ConfigError(f"--storage {self.uri}: cannot be written to ({one_line(error)}).") from error

    def place(self, name: str) -> str:
        """Where a result is, as a URI."""
        parts = urlsplit(self.uri)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()

    def check_free(self, name: str) -> None:
        """Whether a name is free for a new result.

        Raises:
            ConfigError: it is not, or the store cannot be read.
        """
        if self._listed(name):
            raise ConfigError(f"--name {name}: {self.place(name)} holds another result; choose another name.")

    def _listed(self, name: str) -> dict[Path, Any]:
        """What is below a name in the store, by name below the root."""
        from pyarrow import fs

        with self._readable():
            place = fs.FileSelector(f"{self._root}/{name}", recursive=True, allow_not_found=True)
            found = self._files.get_file_info(place)
        return {Path(each.path).relative_to(self._root): each for each in found if each.is_file}

    @property
    def names(self) -> list[str]:
        """Of the results in the store."""
        from pyarrow import fs

        with self._readable():
            inside = self._files.get_file_info(fs.FileSelector(self._root, allow_not_found=True))
            books = self._files.get_file_info([f"{each.path}/{self._logbook}" for each in inside if not each.is_file])
        return sorted(Path(each.path).parent.name for each in books if each.is_file)

    def fetch(self, name: str) -> None:
        """Bring a result here, unless what is here is the same or has gone on from it.

        Raises:
            ConfigError: both have gone on, each by itself, or the store cannot be read.
        """
        there, place = self._listed(name), Path(name)
        book = place / self._logbook
        if book not in there:
            return
        theirs, ours = self._read(book), _content(self.folder / book)
        if ours.startswith(theirs):
            self._there |= {path: stamp for path, info in there.items() if (stamp := self._same(path, info))}
            return
        if not theirs.startswith(ours):
            raise ConfigError(
                f"--name {name}: {self.place(name)} and {self.folder / name} have gone on from each other; delete the "
                "one that you do not want."
            )
        shutil.rmtree(self.folder / name, ignore_errors=True)
        books = [path for path in there if path.name == self._logbook]
        with self._readable(), ThreadPoolExecutor(_AT_A_TIME) as pool:
            for some in (there.keys() - books, books):  # a copy that is cut short has no logbook
                list(pool.map(self._bring, some))
        self._there |= {path: stamp for path in there if (stamp := _stamp(self.folder / path))}

    def _same(self, path: Path, info: Any) -> tuple[int, int] | None:
        """The stamp of a file here that has not changed since it was copied."""
        stamp = _stamp(self.folder / path)
        return stamp if stamp and (stamp[0], True) == (info.size, stamp[1] <= info.mtime_ns) else None

    def _read(self, path: Path) -> bytes:
        with self._readable(), self._files.open_input_stream(f"{self._root}/{path.as_posix()}") as file:
            content: bytes = file.read()
        return content

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ConfigError(f"--storage {self.uri}: cannot be read ({one_line(error)}); try again.") from error

    def _bring(self, path: Path) -> None:
        from pyarrow import fs

        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(f"{self._root}/{path.as_posix()}", str(self.folder / path), self._files, fs.LocalFileSystem())

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
            copying.join()
            self._try(folder.name, say)

    def _keep(self, name: str, is_over: threading.Event, say: Callable[[str], object]) -> None:
        while not is_over.is_set():
            self._try(name, say)
            is_over.wait(EVERY_S)

    def _try(self, name: str, say: Callable[[str], object]) -> None:
        try:
            self.push(name)
            self.problem = ""
        except OSError as error:
            if not self.problem:
                say(f"warning: {self.place(name)} cannot be written ({one_line(error)}); it is tried again")
            self.problem = one_line(error)

    def push(self, name: str) -> None:
        """Copy what has changed in a result.

        Raises:
            OSError: the store cannot be reached, or refuses.
        """
        books = {path: _content(self.folder / path) for path in self._here(name) if path.name == self._logbook}
        others = (path for path in self._here(name) if path not in books)
        stamps = {path: stamp for path in others if (stamp := _stamp(self.folder / path))}
        changed = [path for path, stamp in stamps.items() if self._there.get(path) != stamp]
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for path, is_there in zip(changed, pool.map(self._send, changed), strict=True):
                if is_there:
                    self._there[path] = stamps[path]
        for path, content in books.items():
            if self._there.get(path) != (stamp := (len(content), 0)):
                self._write(path, content)
                self._there[path] = stamp
        for path in [path for path in self._there if path.parts[0] == name and path not in {*stamps, *books}]:
            self._files.delete_file(f"{self._root}/{path.as_posix()}")
            del self._there[path]

    def _here(self, name: str) -> list[Path]:
        """Files of a result, but for those that are being written."""
        paths = (path.relative_to(self.folder) for path in (self.folder / name).rglob("*") if path.is_file())
        return sorted(path for path in paths if not any(part.startswith(".") for part in path.parts))

    def _send(self, path: Path) -> bool:
        """Copy a file; False where it has gone meanwhile."""
        from pyarrow import fs

        try:
            fs.copy_files(str(self.folder / path), f"{self._root}/{path.as_posix()}", fs.LocalFileSystem(), self._files)
        except FileNotFoundError:
            if (self.folder / path).exists():
                raise
            return False
        return True

    def _write(self, path: Path, content: bytes) -> None:
        with self._files.open_output_stream(f"{self._root}/{path.as_posix()}") as file:
            file.write(content)

    def check_copied(self, folder: Path) -> None:
        """Whether all of a result is there.

        Raises:
            StorageError: the last copy has failed.
        """
        if self.problem:
            raise StorageError(
                f"{self.place(folder.name)} cannot be written ({self.problem}); all of it is in {folder}: copy it, or "
                "--resume copies it once the store can be reached."
            )


def _store(uri: str) -> tuple[Any, str]:
    """The store of a URI, and the path in it, bucket first."""
    from pyarrow import fs

    parts = urlsplit(uri)
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"--storage {uri}: must be a folder, or s3://bucket/folder or gs://bucket/folder.")
    if "@" in parts.netloc:  # search.toml has the command line
        raise ConfigError("--storage: keys must not be in the URI; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    if not parts.netloc:
        raise ConfigError(f"--storage {uri}: must name a bucket, as {parts.scheme}://bucket/folder does.")
    try:
        files, root = fs.FileSystem.from_uri(parts._replace(query=urlencode(_options(parts))).geturl())
    except (OSError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"--storage {uri}: cannot be opened ({one_line(error)}).") from error
    return files, root.rstrip("/")


def _options(parts: Any) -> dict[str, str]:
    """Of the store, with the endpoint of the environment."""
    options = dict(parse_qsl(parts.query))
    endpoint = urlsplit(next(filter(None, map(os.environ.get, _ENDPOINTS)), ""))
    if parts.scheme == "s3" and endpoint.netloc and "endpoint_override" not in options:
        options |= {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}
    return options


def _folder_of(uri: str) -> Path:
    """Where its results are on this machine: always the same place, so that a session finds what another has left."""
    parts = urlsplit(uri)
    readable = re.sub(r"[^\w.-]+", "-", f"{parts.netloc}{parts.path}".strip("/"))[:100]
    digest = hashlib.sha256(uri.encode()).hexdigest()[:8]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "distill_tune" / f"{quote(readable)}-{digest}"


def _content(path: Path) -> bytes:
    """Of a logbook up to the last whole entry; nothing where there is none."""
    whole = path.read_bytes() if path.is_file() else b""
    return whole[: whole.rfind(b"\n") + 1]


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None where it has gone meanwhile."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
