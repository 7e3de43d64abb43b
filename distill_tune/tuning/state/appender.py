"""Append to a search's logbook and its study's journal: each entry is written completely or not at all.

A nearly full disk may accept only part of an entry, and then accept a smaller entry after it. No later session could
read the result, so the partial entry is removed and nothing more is written.
"""

from __future__ import annotations

import os
from contextlib import suppress


class Appender:
    """Appends to a file that has no other writer."""

    def __init__(self) -> None:
        self._failure: OSError | None = None

    def check(self) -> None:
        """Check that all entries were written.

        Raises:
            OSError: one of them could not be written.
        """
        if self._failure is not None:
            raise self._failure

    def append(self, file: int, entry: bytes) -> None:
        """Append an entry to the file with this descriptor, unless an earlier one is missing.

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
