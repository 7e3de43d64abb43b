"""Where a command writes to: a shell may have closed it, and whoever reads it may leave.

Neither ends what is at work.
"""

import io
import os
import sys
from typing import TextIO


def open_what_is_closed() -> None:
    """What is written to a stream that the shell has closed (`2>&-`) goes nowhere.

    Python has None in its place, and the first file to be opened would get its number, with what others write there.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free: its own
            stream = os.fdopen(number, mode, encoding="utf-8")
            os.set_inheritable(number, True)
            setattr(sys, name, stream)


def escape_what_has_no_letter() -> None:
    """Names of classes and paths may have letters that the encoding of standard output has not; it is no fault."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(line: str, stream: TextIO) -> None:
    """One line, at once; whoever reads it may leave (`| head`, a closed terminal), and what is at work goes on."""
    try:
        stream.write(f"{line}\n")
    except OSError:
        fall_silent(stream)
    flush(stream)


def flush(stream: TextIO) -> None:
    """Write what waits in its buffer, if there is a reader."""
    try:
        stream.flush()
    except OSError:
        fall_silent(stream)


def fall_silent(stream: TextIO) -> None:
    """Nobody reads it: what is written to it goes nowhere, and so does what waits in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
