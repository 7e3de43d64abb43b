"""Data sources: one file per source, named as in `data.source`."""

from distill_tune.data.sources._base import Source, required_path

__all__ = ["Source", "required_path"]
