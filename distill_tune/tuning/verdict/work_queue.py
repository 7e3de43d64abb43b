"""A queue shared by several threads, each driving a worker that may be lost.

A thread that loses its worker puts its piece back, so no thread ends before all pieces are done or the queue is closed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

Piece = TypeVar("Piece")


def dealt(work: Sequence[Piece], takers: int, most: int) -> list[list[Piece]]:
    """Split the work into parts of at most `most`, as equal as possible, and so many that all takers end together."""
    count = len(work)
    parts = min(count, -(-count // (takers * most)) * takers)
    return [list(work[count * part // parts : count * (part + 1) // parts]) for part in range(parts)]


class WorkQueue(Generic[Piece]):
    """Waiting pieces, and a count of those not done."""

    def __init__(self, pieces: Iterable[Piece]):
        self._waiting = deque(pieces)
        self._left = len(self._waiting)
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def is_done(self) -> bool:
        """Whether takers may leave: nothing waits or is at work, or the queue is closed."""
        return self._is_closed or not self._left

    def take(self) -> Piece | None:
        """The next piece, or None once the queue is done; blocks while others work on the last pieces."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.is_done)
            return None if self.is_done else self._waiting.popleft()

    def done(self) -> None:
        """Note that a taken piece is finished."""
        with self._changed:
            self._left -= 1
            self._changed.notify_all()

    def put_back(self, *pieces: Piece) -> None:
        """Put a taken piece back at the front, perhaps in parts."""
        with self._changed:
            self._left += len(pieces) - 1
            self._waiting.extendleft(reversed(pieces))
            self._changed.notify_all()

    def close(self) -> list[Piece]:
        """Let nobody take another piece, while those at work may finish; return the pieces that are left over."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            return list(self._waiting)
