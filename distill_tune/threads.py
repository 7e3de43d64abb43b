"""How many threads torch computes with, for a while: what is timed or trained here must not hang on what ran before."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch's number of threads within the block; afterwards it is as before, whatever happens."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def faster_threads(taken_s: Callable[[], float]) -> int:
    """1, or torch's present number of threads: small networks, and cores that others use, lose by sharing work.

    `taken_s` does some of it, and says how long that took.
    """
    present, together_s = torch.get_num_threads(), taken_s()
    with threads(1):
        alone_s = taken_s()
    return present if together_s < alone_s else 1
