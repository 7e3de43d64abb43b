"""Checks of user-given paths that never raise, whatever the path.

pathlib's methods do raise: `expanduser` if there is no such user, the others if a name is too long for any file or a
folder may not be entered. Here such a path simply leads to no file, and the code that needs one reports that.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

_STANDARD_LIBRARY = tuple(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


def expanded(path: str | Path) -> Path:
    """`path` with its `~` expanded; unchanged if it has none or there is no such user."""
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
    """`path` with links resolved, as far as possible; `path` itself if it cannot name a file."""
    try:
        return Path(os.path.realpath(path))
    except ValueError:  # a null byte
        return path


def is_installed(path: Path) -> bool:
    """Whether it is a file of an installed package, which changes only with the package's version."""
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)


def is_users_code(path: Path) -> bool:
    """Whether it is a file of neither an installed package nor Python itself."""
    return path.is_file() and _is_users(path)


def folders_of_users_code() -> list[Path]:
    """Where this process looks for modules, in order, besides the installed packages and Python itself."""
    folders = dict.fromkeys(Path(entry).absolute() for entry in sys.path)  # "" is the current folder
    return [folder for folder in folders if is_folder(folder) and _is_users(folder)]


def _is_users(path: Path) -> bool:
    return not is_installed(path) and not any(map(path.is_relative_to, _STANDARD_LIBRARY))
