"""Torch's number of threads within a block, so that timing and training do not depend on what ran before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Set torch's number of threads within the block and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def faster_threads(taken_s: Callable[[], float]) -> int:
    """The faster of 1 and torch's current number of threads: splitting up small networks, or on busy cores, is slower.

    `taken_s` does some of the work and returns how many seconds that took.
    """
    present, together_s = torch.get_num_threads(), taken_s()
    with threads(1):
        alone_s = taken_s()
    return present if together_s < alone_s else 1
