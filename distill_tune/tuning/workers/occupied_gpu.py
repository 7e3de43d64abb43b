"""Tell a trial that needs too much memory from a GPU whose memory other programs occupy.

Ray hands out GPUs without knowing what else runs on them. On an occupied one each trial would fail within a second, and
a single such GPU would use up a search's trials or end it. So a trial there is tried again for a while: the other
programs may end.
"""

from __future__ import annotations

import os
import socket
import time

from distill_tune.config.searching import ResourcesConfig
from distill_tune.errors import is_short_of_memory

_LEAST = 0.5
"""If a process can get less than this part of its share of the memory, others have taken it. Other trials cannot have:
each is held to its own share."""
_PAUSE_S = 3.0
_PATIENCE_S = 600.0
"""How long trials are tried again before one of them fails after all; then the next has as long."""


class OccupiedGpu:
    """The first GPU of this process, as far as other programs occupy it."""

    def __init__(self, resources: ResourcesConfig):
        self._share = min(1.0, resources.gpus_per_worker)
        self._until_s: float | None = None
        """When a trial fails after all; None if there was room for the last one."""
        self._reached: dict[str, float] = {}
        """The last epoch of each trial."""

    def allow_another_try(self, error: Exception, num_at_once: int = 1) -> bool:
        """Decide whether a trial that raised this is tried again: alone, or a while later if it was alone."""
        return is_short_of_memory(error) and (num_at_once > 1 or self.allow_retry())

    def allow_retry(self) -> bool:
        """Decide whether a trial that had no memory here is not at fault, and is to be tried again.

        The first retry starts the time after which a trial fails after all; a refusal ends it.
        """
        if not (self._share and _is_occupied(self._share)):
            return False
        self._until_s = self._until_s or time.monotonic() + _PATIENCE_S
        if time.monotonic() > self._until_s:
            self._until_s = None
            return False
        return True

    def reached(self, trial_id: str, epoch: float) -> None:
        """Note an epoch of a trial. One that it reaches again, after a failure, does not show that there is room."""
        if epoch > self._reached.get(trial_id, 0):
            self._reached[trial_id] = epoch
            self._until_s = None

    def pause(self) -> str:
        """Free what the failed training has left, and wait a moment; returns what for.

        That names the GPU by its number on the node: in this process it is 0.
        """
        import torch

        torch.cuda.empty_cache()
        time.sleep(_PAUSE_S)
        number = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
        return f"GPU {number} of node {socket.gethostname()} is occupied by other programs; trials wait for its memory"


def _is_occupied(share: float) -> bool:
    import torch

    try:
        free, whole = torch.cuda.mem_get_info()
    except RuntimeError as error:  # not even CUDA itself has room there
        if is_short_of_memory(error):
            return True
        raise
    return free + torch.cuda.memory_reserved() < _LEAST * share * whole
