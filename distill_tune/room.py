"""Checks for free disk space before something is built."""

import shutil
from pathlib import Path

from distill_tune.errors import ConfigError

_MOST = 1e30
"""More than all disks hold; much larger integers do not fit a float."""
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def in_bytes(count: float) -> str:
    """A human-readable number of bytes, in powers of 1,000: 812 bytes, 6.9 MB, 120 GB."""
    count, power = min(count, _MOST), 0
    while count >= 999.5 and power < len(_UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:,.0f} {_UNITS[power]}" if power == 0 or count >= 99.5 else f"{count:.2g} {_UNITS[power]}"


def free_bytes(folder: Path) -> int:
    """Bytes that an ordinary user may still write on the disk of `folder`, which need not exist."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free


def check_room(folder: Path, num_bytes: int, what: str, way_out: str = "", key: str = "--storage") -> None:
    """Check that a disk has room for something before it is built.

    Args:
        folder: where it will be; need not exist.
        num_bytes: its size.
        what: what it is, such as "the prepared data".
        way_out: a better remedy than other storage, such as "lower teacher.views, ".
        key: the option or key that names the place.

    Raises:
        ConfigError: the disk has less.
    """
    free = free_bytes(folder)
    if num_bytes > free:
        raise ConfigError(
            f"{key}: {in_bytes(num_bytes)} are needed for {what}, but the disk of {folder} has {in_bytes(free)} "
            f"free; {way_out}make room, or name another {key}."
        )
