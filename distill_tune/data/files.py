"""Reading files that somebody else wrote: each is looked at first, and what is wrong is said in one line.

Nothing heavy is imported at the top, because the entries of `sources/` import this module.
"""

from __future__ import annotations

import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from distill_tune.arrays import Array, Arrays

MAGIC = {
    b"PK\x03\x04": "npz",
    b"PK\x05\x06": "npz",
    b"PAR1": "parquet",
    b"\x93NUMPY": "npy",
    b"\x1f\x8b": "gzip",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"%PDF": "PDF",
    b"\x89HDF": "HDF5",
    b"ARROW1": "Arrow",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
"""How files of a kind begin."""

NAMES = {
    "npz": "an .npz (zip) file",
    "parquet": "a Parquet file",
    "npy": "an .npy file",
    "csv": "a CSV (text) file",
}
CURES = {"npz": "data.source = 'npz'", "parquet": "data.source = 'parquet'", "csv": "data.source = 'csv'"}


def named(kind: str) -> str:
    """`"npz"` as it is said in a sentence."""
    return NAMES.get(kind, f"a {kind} file")


def existing(path: str | Path, what: str) -> Path:
    """`path` as a file that is there and not empty; `what` says in an error what it should be.

    Raises:
        DataError: it is missing, a folder, unreadable or empty.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise DataError(f"{path}: is a folder, but must be {what}; name the file itself.")
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; it must be {what} (seen from {Path.cwd()}).") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    if not first:
        raise DataError(f"{path}: is empty, but must be {what}.")
    return path


def kind_of(path: Path) -> str:
    """What the file is by its first bytes: a value of `MAGIC`, "csv" for any text, or "binary"."""
    with path.open("rb") as file:
        head = file.read(4096)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return kind
    return "binary" if b"\0" in head else "csv"


def of_kind(path: str | Path, kind: str) -> Path:
    """`path` as an existing file of `kind` ("npz", "npy", "parquet" or "csv").

    Raises:
        DataError: it is missing, empty, or of another kind.
    """
    path = existing(path, named(kind))
    if (found := kind_of(path)) != kind:
        cure = f"use {CURES[found]}" if found in CURES else f"convert it to {named(kind)}"
        raise DataError(f"{path}: must be {named(kind)}, but is {named(found)}; {cure}.")
    return path


def read_npz(path: str | Path) -> Arrays:
    """All arrays of an .npz file; pickled objects are never loaded.

    Raises:
        DataError: missing, empty, of another kind, truncated, or with Python objects inside.
    """
    import numpy as np

    path = of_kind(path, "npz")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError) as error:
        raise DataError(f"{path}: is truncated or damaged ({error}); write it again.") from error
    except ValueError as error:
        raise DataError(f"{path}: {_array_problem(error)}") from error


def read_npy(path: str | Path) -> Array:
    """The array of an .npy file.

    Raises:
        DataError: missing, empty, of another kind, truncated, or with Python objects inside.
    """
    import numpy as np

    path = of_kind(path, "npy")
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{path}: {_array_problem(error)}") from error
    return array


def _array_problem(error: Exception) -> str:
    if "allow_pickle" in str(error):
        return "holds Python objects, which are never loaded; save arrays of numbers."
    return "is truncated or damaged; write it again."


def read_csv(path: str | Path, separator: str = ",", **options: Any) -> pd.DataFrame:
    """A CSV file with a header line, as pandas reads it; `options` go to `pandas.read_csv`.

    Raises:
        DataError: missing, empty, of another kind, not UTF-8, or with lines of different lengths.
    """
    import pandas as pd

    path = of_kind(path, "csv")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # lines longer than the header, cut off silently
            return pd.read_csv(path, sep=separator, low_memory=False, index_col=False, **options)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        said = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise DataError(f"{path}: is no table with separator {separator!r} ({said}); mend that line.") from error


def read_parquet(path: str | Path) -> pd.DataFrame:
    """A Parquet file's columns; a row index that pandas left in it is no column.

    Raises:
        DataError: missing, empty, of another kind, or truncated.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = of_kind(path, "parquet")
    try:
        table = pq.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: is truncated or damaged (its Parquet footer or a page does not fit).") from error
    columns = [name for name in table.column_names if not name.startswith("__index_level_")]
    return table.select(columns).to_pandas(ignore_metadata=True)
