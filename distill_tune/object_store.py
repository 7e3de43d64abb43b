"""Object stores by their URI: how one is opened, and which folder of this machine stands for it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from distill_tune.errors import ConfigError, one_line

SCHEMES = ("s3", "gs")
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Where another store than Amazon's is: every tool for S3 knows these variables but Arrow (apache/arrow#49643)."""


def opened_store(uri: str) -> tuple[Any, str]:
    """The store of a URI as a file system of Arrow's, and the path in it, bucket first.

    Raises:
        ConfigError: it is no such URI, or the store cannot be opened.
    """
    from pyarrow import fs

    parts = _parts(uri)
    options = dict(parse_qsl(parts.query))
    if parts.scheme == "s3" and "endpoint_override" not in options:
        options |= _endpoint()
    try:
        path = quote(parts.path, safe="/%")  # spaces and letters of any language, but not what is quoted already
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
    if "@" in parts.netloc:  # search.toml has the command line
        raise ConfigError("--storage: keys must not be in the URI; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
    if not parts.netloc:
        raise ConfigError(f"--storage {uri}: must name a bucket, as {parts.scheme}://bucket/folder does.")
    if parts.fragment:  # which Arrow would leave out
        raise ConfigError(f"--storage {uri}: must not have a '#', which ends the folder's name; write %23 for it.")
    return parts


def _endpoint() -> dict[str, str]:
    """Options for the endpoint of the environment; none where that has none.

    Raises:
        ConfigError: it is no address, so that results would go to Amazon.
    """
    name, value = next(((name, os.environ[name]) for name in _ENDPOINTS if os.environ.get(name)), ("", ""))
    if not name:
        return {}
    endpoint = urlsplit(value)
    if endpoint.scheme not in ("http", "https") or not endpoint.netloc:
        raise ConfigError(f"{name}={value}: must be the address of a store, as http://host:9000 is.")
    return {"endpoint_override": endpoint.netloc, "scheme": endpoint.scheme}


def folder_here(uri: str) -> Path:
    """Where its results are on this machine: always the same place, so that a session finds what another has left.

    Raises:
        ConfigError: nobody knows where this user's files are.
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
