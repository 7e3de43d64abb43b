"""Appending to a search's logbook and its study's journal: an entry is there as a whole, or not at all.

A disk that is nearly full takes a part of an entry, and may take a smaller one after it. No later session could read
what that leaves, so the part is taken back, and nothing more is written.
"""

from __future__ import annotations

import os
from contextlib import suppress


class Appender:
    """Writes to the end of a file that nobody else writes to."""

    def __init__(self) -> None:
        self._failure: OSError | None = None

    def check(self) -> None:
        """See whether all entries are there.

        Raises:
            OSError: one of them could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def append(self, file: int, entry: bytes) -> None:
        """Add an entry to the file with this descriptor, unless an earlier one is missing.

        Raises:
            OSError: it cannot be written.
        """
        self.check()
        length = os.fstat(file).st_size
        try:
            while entry:
                entry = entry[os.write(file, entry) :]
        except OSError as error:
            self._failure = error
            with suppress(OSError):
                os.ftruncate(file, length)
            raise
