"""Where data come from: one file a source, whose name is what `data.source` says."""

from distill_tune.data.sources._base import Source, required_path

__all__ = ["Source", "required_path"]
