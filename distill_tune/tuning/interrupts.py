"""Ctrl-C, SIGTERM and a closed terminal: the first asks, the second ends.

While a search can be ended in order, the first signal only sets `requested`: trials end after their step, what is
there is saved. Everywhere else, and at the second signal, it is Python's own KeyboardInterrupt. A signal that was
ignored when the program started (`nohup`) stays ignored.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_ONCE = "Stopping after the current step; results are saved."


def keep_children_up() -> None:
    """What this thread starts from here on outlives a closed terminal, of which a shell tells every process of a job.

    Else there is nobody left to end in order with; whoever started them ends them.
    """
    if hasattr(signal, "SIGHUP"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


class Interrupt:
    """What the user has asked of this program."""

    def __init__(self) -> None:
        self.requested = False
        """Whether to end, in order."""
        self.last_step = ""
        """What is going on in words, where it ends the search, so that a first signal keeps nothing from beginning."""
        self.is_done = False
        """Whether all is done but to end Ray, so that a signal has nothing left to end."""
        self._in_order = False
        self._numbers: tuple[signal.Signals, ...] = ()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        if self.is_done:
            return
        if self.requested or not self._in_order:
            raise KeyboardInterrupt
        self.requested = True
        said = f"{self.last_step}, which is the last step." if self.last_step else _ONCE
        told = f"\n{said} Press Ctrl-C again to stop at once.\n".encode()
        with suppress(OSError):  # the terminal may be what is gone
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, told)  # a handler must not use buffered files

    def listen(self, *numbers: signal.Signals) -> None:
        """Take these signals, or again those that were taken, from whoever has come in between."""
        self._numbers = numbers or self._numbers
        for number in self._numbers:
            signal.signal(number, self)

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """While the block runs, the first signal sets `requested`."""
        self.listen()  # Ray's handler, which it puts before this one, aborts the program three seconds after a SIGTERM
        self._in_order = True
        try:
            yield
        finally:
            self._in_order = False


@contextmanager
def heard(interrupt: Interrupt) -> Iterator[None]:
    """While the block runs, the program's signals go to `interrupt`."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    interrupt.listen(*taken)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
