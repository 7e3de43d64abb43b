"""Reading a folder that another program is writing to: files may grow, change and disappear meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator
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


def whole_lines(path: Path) -> Iterator[tuple[bytes, int]]:
    """Each intact line from the beginning of a file that is being appended to, with the offset at which it ends."""
    end = 0
    with path.open("rb") as file:
        for line in file:
            end += len(line)
            if not line.endswith(b"\n") or b"\0" in line:
                return  # killed in the middle of a write; what a lost NFS client had not written reads as NUL
            yield line, end


def num_lines_after(path: Path, start: int) -> int:
    """Number of complete lines after an offset in a file, intact or not."""
    with path.open("rb") as file:
        file.seek(start)
        return sum(line.endswith(b"\n") for line in file)


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Size and modification time of a file; None if it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
