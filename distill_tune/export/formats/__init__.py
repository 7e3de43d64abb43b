"""What a student is written as for programs that do not have this package, one a file; every folder has all of them."""

from distill_tune.export.formats._base import Format

__all__ = ["Format"]
