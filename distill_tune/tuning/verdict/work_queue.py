"""A queue of work that several threads take from, each for a worker that may be lost.

A thread whose worker is lost puts its piece back, so no thread ends before all pieces are done, or the queue is closed.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

Piece = TypeVar("Piece")


def dealt(work: Sequence[Piece], takers: int, most: int) -> list[list[Piece]]:
    """The work in parts of at most `most`, as equal as can be, and so many that all takers end together."""
    count = len(work)
    parts = min(count, -(-count // (takers * most)) * takers)
    return [list(work[count * part // parts : count * (part + 1) // parts]) for part in range(parts)]


class WorkQueue(Generic[Piece]):
    """Pieces that wait, and pieces at work."""

    def __init__(self, pieces: Iterable[Piece]):
        self._waiting = deque(pieces)
        self._left = len(self._waiting)
        self._is_closed = False
        self._changed = threading.Condition()

    @property
    def is_done(self) -> bool:
        """Whether nobody need stay: nothing waits and nothing is at work, or the queue is closed."""
        return self._is_closed or not self._left

    def take(self) -> Piece | None:
        """The next piece, or, once the queue is done, None; waits while others are at work on the last ones."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self.is_done)
            return None if self.is_done else self._waiting.popleft()

    def done(self) -> None:
        """A piece that was taken has come to its end."""
        with self._changed:
            self._left -= 1
            self._changed.notify_all()

    def put_back(self, *pieces: Piece) -> None:
        """A piece that was taken must be begun again, perhaps in parts, which are the next."""
        with self._changed:
            self._left += len(pieces) - 1
            self._waiting.extendleft(reversed(pieces))
            self._changed.notify_all()

    def close(self) -> list[Piece]:
        """Nobody takes another piece; what is at work may still end. Returns what nobody will do now."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            return list(self._waiting)
