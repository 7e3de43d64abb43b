"""Paths as a user wrote them: looking at one raises nothing, whatever it is.

pathlib's methods raise instead: `expanduser` where there is no such user, the others where a name is too long for any
file or a folder may not be entered. Such a path leads to no file, and whoever needs one there says so.
"""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

_STANDARD_LIBRARY = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


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


def real_path(path: Path) -> Path:
    """Where its links lead; `path` itself where no file can be, or links lead to themselves, as `resolve` would say."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a null byte
        return path


def is_installed(path: Path) -> bool:
    """Whether it is a file of an installed package, which changes with the package's version alone."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def is_users_code(path: Path) -> bool:
    """Whether it is a file of code that is neither of an installed package nor of Python itself."""
    return path.is_file() and not is_installed(path) and not any(map(path.is_relative_to, _STANDARD_LIBRARY))
