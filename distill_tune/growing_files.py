"""Reading a folder that another program is writing to: files may grow, change and disappear meanwhile."""

from __future__ import annotations

import os
from pathlib import Path


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, sorted, except those still being written, which have hidden names.

    Raises:
        OSError: a folder cannot be read; one that has disappeared meanwhile counts as empty.
    """
    found = list[Path]()
    for place, folders, files in os.walk(folder, onerror=_unless_gone):
        folders[:] = [each for each in folders if not each.startswith(".")]
        found += [Path(place, each) for each in files if not each.startswith(".")]
    return sorted(path for path in found if path.is_file())


def _unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def whole_lines(path: Path) -> bytes:
    """The complete lines of a file that is being appended to; empty if there is no file."""
    found = path.read_bytes() if path.is_file() else b""
    return found[: found.rfind(b"\n") + 1]


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size and modification time of a file; None if it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
