"""What is said of a program that ends without a word of its own.

Where Ray's own processes have gone (killed, out of memory, starved for a minute), Ray ends the program that is
connected to them from C++, at once and with status 1: no exception is raised, no handler runs. So it is with SIGKILL.
Somebody else must say it then: a small process that waits for this one to leave the block, and speaks if it has not.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_WATCH = "import sys; sys.stdin.read(1) or print(sys.argv[1], file=sys.stderr)"
"""Whoever ends closes its pipes; who leaves the block says so before."""


@contextmanager
def last_word(line: str) -> Iterator[None]:
    """Have `line` said on stderr if this process ends before the block does.

    The watch has a session of its own, since what a terminal ends with the program must not end it too; and neither
    site-packages nor anything else to load.
    """
    command = [sys.executable, "-I", "-S", "-c", _WATCH, line]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True) as watch:
        assert watch.stdin is not None
        try:
            yield
        finally:
            with suppress(BrokenPipeError):  # somebody has ended it
                watch.stdin.write(b".")
                watch.stdin.close()
