"""A CSV file with a header line: numbers and categories, one column of which is the label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from distill_tune.data.files import read_csv
from distill_tune.data.sources._table import TableFile
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    import pandas as pd


@DATA_SOURCES.register
class Csv(TableFile):
    """`data.path` names the file."""

    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","

    def kind(self) -> str:
        """What the file must be."""
        return "csv"

    def read(self, path: Path) -> pd.DataFrame:
        """The whole file."""
        return read_csv(path, self.separator)
