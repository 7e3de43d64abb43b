"""Object stores by URI: opening one, listing and copying its files, and the local folder that mirrors it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from distill_tune.errors import ConfigError, one_line

SCHEMES = {"s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", "gs": "GOOGLE_APPLICATION_CREDENTIALS"}
"""URI scheme to the environment variables that hold its credentials."""
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""The address of a store other than Amazon's: every S3 tool but Arrow reads these (apache/arrow#49643)."""


class Store:
    """A folder of results in an object store; paths in it are relative and begin with a result's name."""

    def __init__(self, uri: str):
        """Open the store and check that its bucket exists.

        Args:
            uri: `s3://bucket/folder` or `gs://bucket/folder`.

        Raises:
            ConfigError: the URI is malformed, the bucket does not exist, or the store cannot be reached.
        """
        self.uri = uri
        self._files, self._root = opened_store(uri)
        bucket = self._root.partition("/")[0]
        with self.readable():
            is_there = self._files.get_file_info(bucket).type.name == "Directory"
        if not is_there:
            raise ConfigError(f"--storage {uri}: there is no bucket {bucket!r}; make it, or name another.")

    def check_writable(self) -> None:
        """Write a test file and delete it.

        This may leave an empty folder's marker behind, so do it after all other checks.

        Raises:
            ConfigError: the store refuses.
        """
        token = Path(".distill_tune")
        try:
            self.write(token, b"may be deleted\n")
            self.delete(token)
        except OSError as error:
            raise ConfigError(f"--storage {self.uri}: cannot be written to ({one_line(error)}).") from error

    def check_free(self, name: str) -> None:
        """Check that a name is free for a new result.

        Raises:
            ConfigError: it is taken, or the store cannot be read.
        """
        if self.listed(name):
            raise ConfigError(
                f"--name {name}: {self.place(name)} holds another result; choose another name, or delete it there if "
                "its machine was lost during the first copy."
            )

    def place(self, name: str) -> str:
        """The URI of a result."""
        parts = urlsplit(self.uri)
        return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()

    def names(self, logbook: str) -> list[str]:
        """Names of the results that have this logbook, found by listing all files: Arrow lists no folders of GCS."""
        return sorted(path.parts[0] for path in self.listed() if path.parts[1:] == (logbook,))

    def listed(self, name: str = "") -> dict[Path, Any]:
        """The files of a result, or of all results, with Arrow's information about each."""
        from pyarrow import fs

        with self.readable():
            place = fs.FileSelector(f"{self._root}/{name}".rstrip("/"), recursive=True, allow_not_found=True)
            found = self._files.get_file_info(place)
        return {Path(each.path).relative_to(self._root): each for each in found if each.is_file}

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Turn an OSError of the block into a ConfigError: the store cannot be read."""
        try:
            yield
        except OSError as error:
            raise ConfigError(f"--storage {self.uri}: cannot be read ({one_line(error)}); try again.") from error

    def size(self, path: Path) -> int:
        """Size of a file in bytes; 0 if there is none."""
        return self._files.get_file_info(self._key(path)).size or 0

    def read(self, path: Path) -> bytes:
        """The content of a file."""
        with self._files.open_input_stream(self._key(path)) as file:
            content: bytes = file.read()
        return content

    def write(self, path: Path, content: bytes) -> None:
        """Write a file, whole or not at all."""
        with self._files.open_output_stream(self._key(path)) as file:
            file.write(content)

    def send(self, source: Path, path: Path) -> None:
        """Upload a local file."""
        from pyarrow import fs

        fs.copy_files(str(source), self._key(path), fs.LocalFileSystem(), self._files)

    def bring(self, path: Path, target: Path) -> None:
        """Download a file."""
        from pyarrow import fs

        target.parent.mkdir(parents=True, exist_ok=True)
        fs.copy_files(self._key(path), str(target), self._files, fs.LocalFileSystem())

    def delete(self, path: Path) -> None:
        """Delete a file, if it is still there."""
        with suppress(FileNotFoundError):
            self._files.delete_file(self._key(path))

    def _key(self, path: Path) -> str:
        return f"{self._root}/{path.as_posix()}"


def opened_store(uri: str) -> tuple[Any, str]:
    """The Arrow file system of a URI, and the path in it, bucket first.

    Raises:
        ConfigError: the URI is malformed, or the store cannot be opened.
    """
    from pyarrow import fs

    parts = _parts(uri)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "s3" and "endpoint_override" not in options:
        options |= _endpoint()
    try:
        path = quote(parts.path, safe="/%")  # spaces and non-ASCII letters, but nothing that is quoted already
        files, root = fs.FileSystem.from_uri(parts._replace(path=path, query=urlencode(options)).geturl())
    except (OSError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"--storage {uri}: cannot be opened ({one_line(error)}); correct it.") from error
    return files, root.rstrip("/")


def _parts(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise ConfigError(f"--storage {uri}: is no URI ({error}); correct it.") from error
    if parts.scheme not in SCHEMES:
        raise ConfigError(f"--storage {uri}: must be a folder, or s3://bucket/folder or gs://bucket/folder.")
    if "@" in parts.netloc:  # search.toml records the command line
        raise ConfigError(f"--storage: keys must not be in the URI; set {SCHEMES[parts.scheme]}.")
    if not parts.netloc:
        raise ConfigError(f"--storage {uri}: must name a bucket, as {parts.scheme}://bucket/folder does.")
    if parts.fragment:  # Arrow would drop it
        raise ConfigError(f"--storage {uri}: must not have a '#', which ends the folder's name; write %23 for it.")
    return parts


def _endpoint() -> dict[str, str]:
    """Arrow's options for the endpoint that the environment sets; none if it sets none.

    Raises:
        ConfigError: it is not an address; results would go to Amazon instead.
    """
    name, value = next(((name, os.environ[name]) for name in _ENDPOINTS if os.environ.get(name)), ("", ""))
    if not name:
        return {}
    endpoint = urlsplit(value)
    if endpoint.scheme not in ("http", "https") or not endpoint.netloc:
        raise ConfigError(f"{name}={value}: must be the address of a store, as http://host:9000 is.")
    return {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}


def folder_here(uri: str) -> Path:
    """The local folder for a URI's results: always the same, so that one session finds what another left.

    Raises:
        ConfigError: the user's home folder cannot be determined.
    """
    parts = urlsplit(uri)
    same = parts._replace(path=parts.path.rstrip("/")).geturl()
    readable = re.sub(r"[^\w.-]+", "-", f"{parts.netloc}{parts.path}".strip("/"), flags=re.ASCII)[:100]
    digest = hashlib.sha256(same.encode()).hexdigest()[:8]
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser().absolute()
    except RuntimeError as error:
        raise ConfigError(
            f"--storage {uri}: there is no home folder for the results here; set XDG_CACHE_HOME."
        ) from error
    return cache / "distill_tune" / f"{readable}-{digest}"
