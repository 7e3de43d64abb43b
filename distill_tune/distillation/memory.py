"""The C library's memory: what torch frees is kept for the next step.

By default glibc gives freed memory at the top of its heap back to the system, and asks for it again a moment later:
each page of it is then zeroed by the kernel and faulted in. Where a step's tensors have some hundred kilobytes each, as
with fused lanes, that took half of the time (16 lanes of MLPs of 1,900 parameters: 78 us a lane and step, then 49 us).
"""

import ctypes
import sys

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""glibc's numbers of what can be set: https://man7.org/linux/man-pages/man3/mallopt.3.html"""
_KEPT_BYTES = 1 << 28
_TAKEN_AT_ONCE_BYTES = 1 << 26
_LARGEST_BYTES = 1 << 25
"""On the heap; glibc's own bound. What is larger is mapped by itself, and given back."""


def keep_freed_memory() -> None:
    """Keep up to 256 MB that are freed, in this process; does nothing where the C library is not glibc."""
    if sys.platform != "linux":
        return
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_TRIM_THRESHOLD, _KEPT_BYTES)
        set_option(_TOP_PAD, _TAKEN_AT_ONCE_BYTES)
        set_option(_MMAP_THRESHOLD, _LARGEST_BYTES)
