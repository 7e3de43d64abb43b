"""Standard streams of a command: the shell may have closed one, or its reader may leave; neither stops the work."""

import io
import os
import sys
from typing import TextIO


def open_what_is_closed() -> None:
    """Open each standard stream that the shell has closed (`2>&-`) on the null device.

    Python has None in its place, and the next file opened would get its descriptor and whatever is written to that.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor: the stream's own
            stream = os.fdopen(number, mode, encoding="utf-8")
            os.set_inheritable(number, True)
            setattr(sys, name, stream)


def escape_what_has_no_letter() -> None:
    """Escape characters of class names and paths that standard output's encoding lacks, instead of failing."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(line: str, stream: TextIO) -> None:
    """Write one line and flush; the work continues if the reader has left (`| head`, a closed terminal)."""
    try:
        stream.write(f"{line}\n")
    except OSError:
        fall_silent(stream)
    flush(stream)


def flush(stream: TextIO) -> None:
    """Flush a stream, if it still has a reader."""
    try:
        stream.flush()
    except OSError:
        fall_silent(stream)


def fall_silent(stream: TextIO) -> None:
    """Redirect a stream that nobody reads to the null device, along with what is still in its buffer."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
