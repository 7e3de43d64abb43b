"""A message on stderr if the program ends abruptly, without one of its own.

If Ray's processes are gone (killed, out of memory, starved for a minute), Ray ends the connected program from C++, at
once and with status 1: no exception is raised, no handler runs. The same goes for SIGKILL. So a small watcher process
waits for this one to leave the block, and prints the message if it ends before.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_WATCH = "import sys; sys.stdin.read(1) or print(sys.argv[1], file=sys.stderr)"
"""A process that ends closes its pipes; one that leaves the block writes to the watcher before."""


@contextmanager
def last_word(line: str) -> Iterator[None]:
    """Have `line` printed to stderr if this process ends before the block does.

    The watcher has its own session, so that a signal from the terminal does not end it together with the program; it
    loads neither site-packages nor anything else.
    """
    command = [sys.executable, "-I", "-S", "-c", _WATCH, line]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as watch:
        assert watch.stdin is not None
        try:
            yield
        finally:
            with suppress(BrokenPipeError):  # something has ended it
                watch.stdin.write(b".")
                watch.stdin.close()
