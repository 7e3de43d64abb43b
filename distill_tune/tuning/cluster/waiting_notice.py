"""What the user is told if nothing is at work for too long for a mere slow start: what there is to wait for."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from distill_tune.tuning.cluster.places import free_places


class WaitingNotice:
    """Says what is waited for, once each time that the wait is longer than `patience_s`."""

    def __init__(self, patience_s: float, say: Callable[[str], None], beginning: str):
        """`beginning` opens the sentence, such as "waiting"."""
        self._patience_s, self._say, self._beginning = patience_s, say, beginning
        self._since_s = time.monotonic()
        """Since when nothing has been at work; infinity once that has been said."""

    def look(self, is_at_work: bool) -> None:
        """Called again and again; `is_at_work` says that something is, or that there is nothing to do."""
        now_s = time.monotonic()
        if is_at_work:
            self._since_s = now_s
        elif now_s - self._since_s > self._patience_s:
            self._since_s = math.inf
            self._say(f"{self._beginning} for a place, or for a process to start in it: {free_places()}")
