"""UCI Letter Recognition: 20,000 distorted capital letters with 16 integer features, 26 classes.

Frey and Slate, "Letter Recognition Using Holland-style Adaptive Classifiers", 1991, https://doi.org/10.24432/C5ZP40
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.checksum import sha256_of
from distill_tune.data.csv_files import read_csv
from distill_tune.data.files import existing, kind_of
from distill_tune.data.sources._base import Source
from distill_tune.errors import DataError
from distill_tune.optional import imported
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    import pandas as pd

    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawTable

PLACES = (
    "/usr/lib/R/site-library/mlbench/data/LetterRecognition.rda",
    "data/letter/LetterRecognition.rda",
    "data/letter/letter-recognition.data",
)
"""Where Debian's package and `make data` put the file, and UCI's own file."""
FEATURES = (
    "x.box", "y.box", "width", "high", "onpix", "x.bar", "y.bar", "x2bar", "y2bar", "xybar", "x2ybr", "xy2br",
    "x.ege", "xegvy", "y.ege", "yegvx",
)  # fmt: skip
LABEL = "lettr"
CURE = "`apt-get install r-cran-mlbench`, `make data`, or data.path = an .rda or CSV file of it"


@DATA_SOURCES.register
class Letter(Source):
    """`data.path`: mlbench's .rda file or a CSV, with or without a header; the label is `lettr` or the first column."""

    def load(self, config: DataConfig) -> RawTable:
        """All rows of the file."""
        from distill_tune.data.raw import RawTable, classes_of

        path = find_file(config.path)
        frame = _read_text(path) if kind_of(path) == "csv" else _read_rda(path)
        label = LABEL if LABEL in frame.columns else frame.columns[0]
        inputs = frame.drop(columns=label)
        if inputs.shape[1] != len(FEATURES):
            raise DataError(f"{path}: Letter has {len(FEATURES)} features, but this file has {inputs.shape[1]}.")
        labels, classes = classes_of(frame[label], str(path), may_miss=config.rest == "unlabelled")
        return RawTable(frame=inputs, labels=labels, classes=classes, where=str(path))

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the file."""
        return sha256_of(find_file(config.path))


def find_file(path: str | None) -> Path:
    """`path` or, if None, the first of the known places that exists.

    Raises:
        DataError: the file does not exist, or cannot be read.
    """
    if path is not None:
        return existing(path, "an .rda or CSV file of UCI Letter")
    for place in PLACES:
        if Path(place).exists():
            return existing(place, "an .rda or CSV file of UCI Letter")
    raise DataError(f"UCI Letter is not on this machine; get it with {CURE}.")


def _read_text(path: Path) -> pd.DataFrame:
    """A CSV file; UCI's own has no header, recognised by numbers in its first line."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline().split(",")
    bare = len(first) == len(FEATURES) + 1 and first[1].strip().isdigit()
    return read_csv(path, header=None, names=[LABEL, *FEATURES]) if bare else read_csv(path)


def _read_rda(path: Path) -> pd.DataFrame:
    rdata = imported("rdata", f"{path}: R's .rda", DataError)
    try:
        tables = list(rdata.read_rda(path).values())
    except Exception as error:  # rdata raises anything on damaged files
        raise DataError(f"{path}: is no .rda file, or a truncated one ({error}); get it again.") from error
    if len(tables) != 1 or not hasattr(tables[0], "columns"):
        raise DataError(f"{path}: must hold one table, mlbench's LetterRecognition; name that file.")
    return tables[0]
