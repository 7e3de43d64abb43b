"""Data sets: a source is loaded, split and encoded once, then memory-mapped by every worker of a node.

    config --> sources/<name>.py --> RawImages | RawTable --> splits.py, encoder.py --> Arrow --> Dataset

Entries of `sources/` are imported while a configuration is checked, so this package imports nothing heavy on its own.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distill_tune.data.dataset import UNLABELLED, Dataset, Split, open_dataset, prepare_data
    from distill_tune.data.raw import RawImages, RawTable

__all__ = ["UNLABELLED", "Dataset", "RawImages", "RawTable", "Split", "open_dataset", "prepare_data"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "raw" if name.startswith("Raw") else "dataset"
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
