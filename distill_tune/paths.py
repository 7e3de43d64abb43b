"""Paths as a user wrote them: looking at one raises nothing, whatever it is.

pathlib's methods raise instead: `expanduser` where there is no such user, the others where a name is too long for any
file or a folder may not be entered. Such a path leads to no file, and whoever needs one there says so.
"""

from __future__ import annotations

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """`path` with the home folder for its `~`; as it is where it has none or there is no such user."""
    return Path(os.path.expanduser(path))


def is_file(path: Path) -> bool:
    """Whether a file is there, itself or at the end of a link."""
    return os.path.isfile(path)


def is_folder(path: Path) -> bool:
    """Whether a folder is there, itself or at the end of a link."""
    return os.path.isdir(path)


def exists(path: Path) -> bool:
    """Whether anything is there, itself or at the end of a link."""
    return os.path.exists(path)
