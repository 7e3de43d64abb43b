"""Where data come from: one file a source, whose name is what `data.source` says."""

from distill_tune.data.sources._base import Source

__all__ = ["Source"]
