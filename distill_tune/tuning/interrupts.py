"""Ctrl-C, SIGTERM and a closed terminal: the first signal asks the program to end, the second ends it.

While a search can be ended in order, the first signal only sets `requested`: trials end after their step, and results
are saved. Everywhere else, and at the second signal, it raises Python's KeyboardInterrupt. A signal that was ignored
when the program started (`nohup`) stays ignored.
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
    """Let processes that this thread starts from now on survive a closed terminal, which is signalled to a whole job.

    Otherwise none would be left for an orderly end; whoever started them ends them.
    """
    if hasattr(signal, "SIGHUP"):
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


class Interrupt:
    """The user's request to stop."""

    def __init__(self) -> None:
        self.requested = False
        """Whether to end in order."""
        self.last_step = ""
        """The step in progress, in words, if it is the search's last one: there is nothing after it to stop."""
        self.is_done = False
        """Whether only Ray has yet to end, so that a signal has nothing left to stop."""
        self._in_order = False
        self._numbers: tuple[signal.Signals, ...] = ()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
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
        """Handle these signals; without arguments, take back those handled before from any handler set meanwhile."""
        self._numbers = numbers or self._numbers
        for number in self._numbers:
            signal.signal(number, self)

    @contextmanager
    def in_order(self) -> Iterator[None]:
        """Let the first signal only set `requested` while the block runs."""
        self.listen()  # Ray's handler, installed over this one, aborts the program three seconds after a SIGTERM
        self._in_order = True
        try:
            yield
        finally:
            self._in_order = False


@contextmanager
def heard(interrupt: Interrupt) -> Iterator[None]:
    """Send the program's signals to `interrupt` while the block runs."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    interrupt.listen(*taken)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
