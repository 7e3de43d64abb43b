"""A Parquet file: numbers and categories, one column of which is the label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.data.files import read_parquet
from distill_tune.data.sources._table import TableFile
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    import pandas as pd


@DATA_SOURCES.register
class Parquet(TableFile):
    """`data.path` names the file."""

    def kind(self) -> str:
        """What the file must be."""
        return "parquet"

    def read(self, path: Path) -> pd.DataFrame:
        """The whole file."""
        return read_parquet(path)
