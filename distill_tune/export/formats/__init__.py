"""Formats for running a student without this package, one per file; `[export]` selects them."""

from distill_tune.export.formats._base import Format

__all__ = ["Format"]
