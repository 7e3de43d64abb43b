"""The C library's memory: what torch frees is kept for the next step.

By default glibc gives freed memory at the top of its heap back to the system, and asks for it again a moment later:
each page of it is then zeroed by the kernel and faulted in. Where a step's tensors have some hundred kilobytes each, as
with fused lanes, a step took up to 1.6 times as long.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""glibc's numbers of what can be set: https://man7.org/linux/man-pages/man3/mallopt.3.html"""
_DEFAULT_BYTES = 128 << 10
"""glibc's, of the first two."""
_KEPT = {_TRIM_THRESHOLD: 1 << 28, _TOP_PAD: 1 << 26, _MMAP_THRESHOLD: 1 << 25}
"""In bytes. What is larger than the last, which is glibc's own bound, is mapped by itself and given back."""


def keep_freed_memory() -> None:
    """Keep up to 256 MB that are freed, in this process; does nothing where the C library is not glibc."""
    for option, value in _KEPT.items():
        _set(option, value)


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """The same for a while, after which all that is free is given back, and later what is freed at the top of the heap.

    The third option stays. Once any is set, glibc no longer raises that threshold by itself to the size of what is
    freed: back at its default of 128 KB, each larger tensor would be mapped and faulted in anew for good.
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
