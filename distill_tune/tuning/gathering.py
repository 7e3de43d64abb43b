"""A gathering: the first trials begin together, when the actors of all places are up.

Tune hands a waiting trial the first actor that another trial has left, and drops the one that was being started for it.
A short first trial would so keep the second place's actor from ever coming up, and the search would go on with one
place for two (measured on digits: 0.39 s a trial instead of 0.05 s). Once all are up, each trial's end frees an actor
for the next trial and none is dropped.
"""

from __future__ import annotations

import asyncio
from typing import Any

import ray

_PATIENCE_S = 60.0


class Gathering:
    """An actor; `arrive` returns when `expected` have arrived, or when patience is at an end."""

    def __init__(self, expected: int):
        self._missing = expected
        self._complete = asyncio.Event()

    async def arrive(self) -> bool:
        """Whether all came."""
        self._missing -= 1
        if self._missing <= 0:
            self._complete.set()
        try:
            await asyncio.wait_for(self._complete.wait(), _PATIENCE_S)
        except TimeoutError:  # a place that the cluster cannot fill now must not keep the others waiting
            self._complete.set()
            return False
        return True


def gather(expected: int) -> Any:
    """The handle of a new gathering, on the driver's side of the cluster."""
    return ray.remote(Gathering).options(num_cpus=0, max_concurrency=max(1, expected) + 1).remote(expected)
