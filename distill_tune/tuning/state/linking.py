"""Linking what a search has prepared from the shared cache into its own folder."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from distill_tune.errors import CacheError
from distill_tune.growing_files import files_in


def link_tree(source: Path, target: Path, leave_out: Collection[str] = ()) -> None:
    """Put the files of `source` below `target` too: as hard links if the file system has them, else as copies.

    Hidden files are left out, since another program may be writing them (`atomic.py`), and so are the top-level entries
    of `source` named in `leave_out`.

    Raises:
        CacheError: `source` is not a folder.
    """
    if not source.is_dir():
        raise CacheError(f"{source}: was prepared for this search, but is not there any more; start again.")
    for path in files_in(source):
        name = path.relative_to(source)
        if name.parts[0] in leave_out:
            continue
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.hardlink_to(path)
        except OSError:  # another file system, or one without links
            shutil.copyfile(path, place)
