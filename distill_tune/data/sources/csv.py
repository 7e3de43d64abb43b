"""A CSV file with a header line: numbers and categories, one column of which is the label."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from distill_tune.data.csv_files import number_in, read_csv, with_words
from distill_tune.data.sources._table import TableFile
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    import pandas as pd

_KEY = "data.csv.separator"


def _can_separate(text: str) -> str:
    text = "\t" if text == r"\t" else text
    if len(text) != 1:
        raise ValueError("must be one character")
    if not text.isascii() or text in '"\r\n\0':
        raise ValueError("must be a character of ASCII, no quotation mark and no end of a line")
    return text


@DATA_SOURCES.register
class Csv(TableFile):
    """`data.path` names the file."""

    separator: Annotated[str, AfterValidator(_can_separate)] = ","

    def kind(self) -> str:
        """The kind that the file must be."""
        return "csv"

    def notes(self, path: Path) -> tuple[str, ...]:
        """A note if the header looks like a row of values."""
        names = [str(name) for name in read_csv(path, self.separator, _KEY, nrows=0).columns]
        values = {name: value for name in names if (value := number_in(name)) is not None}
        ascend = len(values) > 2 and all(one < other for one, other in pairwise(values.values()))
        if len(values) <= len(names) / 2 or ascend:  # such as pixels, or wavelengths
            return ()
        return (f"names of columns, such as {next(iter(values))!r}, look like values; is the first line a header?",)

    def read(self, path: Path) -> pd.DataFrame:
        """The whole file; in the label column and in categories, only an empty cell is a gap."""
        from distill_tune.data.columns import is_category

        frame = read_csv(path, self.separator, _KEY)
        label = self.label or str(frame.columns[-1])
        texts = [name for name in frame.columns if name != label and is_category(frame[name])]
        return with_words(frame, path, self.separator, [*texts, label], as_text=texts)
