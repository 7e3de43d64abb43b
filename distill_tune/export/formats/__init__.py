"""What a student is written as for programs that do not have this package, one a file: `[export]` says which."""

from distill_tune.export.formats._base import Format

__all__ = ["Format"]
