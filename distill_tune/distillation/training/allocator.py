"""Settings of the C library's allocator: memory that torch frees is kept for the next step.

By default glibc returns freed memory at the top of its heap to the system and requests it again a moment later: each
page is then zeroed by the kernel and faulted in. With tensors of a few hundred kilobytes, as in fused lanes, a step
took up to 1.6 times as long.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""glibc's option numbers: https://man7.org/linux/man-pages/man3/mallopt.3.html"""
_DEFAULT_BYTES = 128 << 10
"""glibc's default for the first two options."""
_KEPT = {_TRIM_THRESHOLD: 1 << 28, _TOP_PAD: 1 << 26, _MMAP_THRESHOLD: 1 << 25}
"""In bytes. Blocks above the last value, glibc's own maximum, are mapped separately and returned when freed."""


def keep_freed_memory() -> None:
    """Keep up to 256 MB of freed memory in this process; does nothing if the C library is not glibc."""
    for option, value in _KEPT.items():
        _set(option, value)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory during the block; afterwards return it, and from then on what is freed at the heap's top.

    The third option stays set. Once any option is set, glibc no longer raises that threshold to the size of freed
    blocks: at its default of 128 KB, each larger tensor would from then on be mapped and faulted in anew.
    """
    keep_freed_memory()
    try:
        yield
    finally:
        for option in (_TRIM_THRESHOLD, _TOP_PAD):
            _set(option, _DEFAULT_BYTES)
        if hasattr(_libc(), "malloc_trim"):
            _libc().malloc_trim(0)


def _set(option: int, value: int) -> None:
    if hasattr(_libc(), "mallopt"):
        _libc().mallopt(option, value)


def _libc() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
