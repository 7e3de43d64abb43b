"""Arrays that may be larger than memory: mapped from an unnamed file, of which the system caches what it can.

So only the disk limits the size of a data set, both while it is built and (`arrays.py`) afterwards.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_LARGE_BYTES = 1 << 30
"""Smaller arrays are kept in memory as usual."""
_CHUNK_BYTES = 1 << 26
_place: ContextVar[Path | None] = ContextVar("place", default=None)


@contextmanager
def spilling_to(folder: Path) -> Iterator[None]:
    """Put large arrays that are made in the block on the disk of `folder`, which need not exist."""
    token = _place.set(next(path for path in (folder, *folder.parents) if path.exists()))
    try:
        yield
    finally:
        _place.reset(token)


def is_placed() -> bool:
    """Whether large arrays go where `spilling_to` says, such as a search's storage; else to the temporary files."""
    return _place.get() is not None


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An uninitialised array.

    Raises:
        OSError: it is large, and the disk has no room for it.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    return np.empty(shape, dtype) if size < _LARGE_BYTES else _mapped(shape, dtype, size)


def _mapped(shape: tuple[int, ...], dtype: npt.DTypeLike, size: int) -> npt.NDArray[Any]:
    with tempfile.TemporaryFile(dir=_place.get()) as file:
        os.posix_fallocate(file.fileno(), 0, size)  # if the disk were full later, the process would die
        return np.memmap(file, np.dtype(dtype), "r+", shape=shape)


def taken(array: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """`array[rows]`, copied in chunks; mapped from a file if `array` is or if it is large.

    Raises:
        OSError: as for `empty`.
    """
    shape = len(rows), *array.shape[1:]
    is_large = isinstance(array, np.memmap) and len(rows) > 0
    found = _mapped(shape, array.dtype, len(rows) * array[:1].nbytes) if is_large else empty(shape, array.dtype)
    step = max(1, _CHUNK_BYTES // max(1, array[:1].nbytes))
    for start in range(0, len(rows), step):
        found[start : start + step] = array[rows[start : start + step]]
    return found
