"""A Parquet file: numbers and categories, one column of which is the label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.data.parquet_files import named_index, read_parquet
from distill_tune.data.sources._table import TableFile
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    import pandas as pd


@DATA_SOURCES.register
class Parquet(TableFile):
    """`data.path` names the file."""

    def kind(self) -> str:
        """The kind that the file must be."""
        return "parquet"

    def read(self, path: Path) -> pd.DataFrame:
        """The whole file, without a pandas row index that no option names."""
        return read_parquet(path, keep=self.named)

    def notes(self, path: Path) -> tuple[str, ...]:
        """Notes on columns left out because they were a row index."""
        left_out = [name for name in named_index(path) if name not in self.named]
        return tuple(f"column {name!r} left out: it was pandas' row index" for name in left_out)
