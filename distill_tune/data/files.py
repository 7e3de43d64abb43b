"""Reading files that users provide: each is checked first, and faults are reported in one line.

Nothing heavy is imported at the top, because the entries of `sources/` import this module.
"""

from __future__ import annotations

import json
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from distill_tune.errors import DataError
from distill_tune.paths import expanded, is_folder

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
    b"\xd0\xcf\x11\xe0": "office",
}
"""The first bytes of a file to its kind."""
_OFFICE = re.compile(rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|_rels/|docProps/|xl/|mimetype)", re.DOTALL)
"""Matches the first bytes of a zip file that is an office document, such as .xlsx, by the name of its first member."""

_OF_AN_ARRAY = (ValueError, MemoryError, OverflowError, TypeError, SyntaxError, TokenError)
"""What NumPy raises for arrays that are not numbers, too large or damaged; it parses their headers as Python."""
NPZ_INPUTS = ("inputs", "x", "X")
"""Names of the inputs in an .npz file; the first that exists is used."""
NAMES = {
    "npz": "an .npz (zip) file",
    "parquet": "a Parquet file",
    "npy": "an .npy file",
    "csv": "a CSV (text) file",
    "office": "an Excel (or other office) file",
}
_AS_IT_IS: dict[str, Any] = {"low_memory": False, "index_col": False, "compression": None}
"""How pandas reads all CSV files: each column has one type, none is an index, and nothing is unpacked because of the
file's name: an unpacked file may still be called .csv.gz."""
CURES = {"npz": "data.source = 'npz', or unpack it", "parquet": "data.source = 'parquet'", "csv": "data.source = 'csv'"}
SEPARATORS = ",;\t|"
"""The usual separators of a CSV file's columns."""
_NO_HEADER = "its first line seems to hold values, not names; write a line of names above it"


def named(kind: str) -> str:
    """A kind such as `"npz"` as a noun phrase for messages."""
    return NAMES.get(kind, f"a {kind} file")


def existing(path: str | Path, what: str) -> Path:
    """`path` as an existing, non-empty file; `what` tells in an error what it should be.

    Raises:
        DataError: it is missing, a folder, unreadable, empty, or in an object store.
    """
    check_is_no_uri(path, what)
    path = expanded(path)
    if is_folder(path):
        raise DataError(f"{path}: is a folder, but must be {what}; name the file itself.")
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; it must be {what} (seen from {Path.cwd()}).") from error
    except (OSError, ValueError) as error:  # a null byte in the name is a ValueError
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{str(path)!r:.200}: cannot be read ({why}); name another file, {what}.") from error
    if not first:
        raise DataError(f"{path}: is empty, but must be {what}.")
    return path


def check_is_no_uri(path: str | Path, what: str) -> None:
    """Refuse a path such as s3://bucket/data.csv, which pathlib would turn into s3:/bucket/data.csv.

    Raises:
        DataError: it is a URI.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):  # a Path has one slash left; a drive is one letter
        raise DataError(
            f"{path!s:.200}: must be {what} on a disk, but is a URI; copy it to where the search runs (for a "
            "submitted search, the head node), and name its path there."
        )


def kind_of(path: Path) -> str:
    """The file's kind by its first bytes: a value of `MAGIC`, "csv" for any text, or "binary"."""
    with path.open("rb") as file:
        head = file.read(4096)
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            return "office" if _OFFICE.match(head) else kind
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


def read_npz(path: str | Path, pick: Callable[[list[str]], list[str]] = list) -> Arrays:
    """The arrays of an .npz file whose names `pick` returns; pickled objects are never loaded.

    Raises:
        DataError: it is missing, empty, of another kind, truncated, or has Python objects inside.
    """
    import numpy as np

    path, name, found = of_kind(path, "npz"), "", dict[str, Any]()
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            for name in pick(archive.files):
                found[name] = archive[name]
    except _OF_AN_ARRAY as error:
        raise DataError(f"{path}: {_array_problem(error, name)}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, RuntimeError) as error:
        raise DataError(f"{path}: is truncated or damaged ({error}); write it again.") from error
    return {name: array for name, array in found.items() if isinstance(array, np.ndarray)}  # other members are bytes


def read_npy(path: str | Path, mapped: bool = False) -> Array:
    """The array of an .npy file; if `mapped`, it is read on access, and the file must not change meanwhile.

    Raises:
        DataError: it is missing, empty, of another kind, truncated, or has Python objects inside.
    """
    import numpy as np

    path = of_kind(path, "npy")
    try:
        array: Array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (*_OF_AN_ARRAY, EOFError, OSError) as error:
        raise DataError(f"{path}: {_array_problem(error)}") from error
    return array


def native(array: Array) -> Array:
    """An array as pandas can hold it: in native byte order, and with floats of at most 64 bits."""
    import numpy as np

    longer = array.dtype.kind == "f" and array.dtype.itemsize > 8
    return array.astype(np.float64 if longer else array.dtype.newbyteorder("="), copy=False)


def _array_problem(error: Exception, name: str = "") -> str:
    """What is wrong with an array; in an .npz file it has a name."""
    if "allow_pickle" in str(error) or "Python objects" in str(error):
        whose = f"its array {name!r} " if name else ""
        return f"{whose}holds Python objects, which are never loaded; save arrays of numbers, or text by .astype(str)."
    if isinstance(error, MemoryError):
        return f"is damaged, or too large for this machine ({error}); write it again, or with fewer rows."
    return "is truncated or damaged; write it again."


def read_csv(path: str | Path, separator: str = ",", **options: Any) -> pd.DataFrame:
    """A CSV file with a header line, as pandas reads it; `options` go to `pandas.read_csv`.

    Empty lines are skipped, except in a file of one column, where they are empty cells.

    Raises:
        DataError: missing, empty, of another kind, not UTF-8, or with lines too long or two columns of one name.
    """
    import pandas as pd

    path = of_kind(path, "csv")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # lines longer than the header, cut off silently
            if "header" not in options:
                options |= {"skip_blank_lines": _checked_width(path, separator) > 1}
            return pd.read_csv(path, sep=separator, **_AS_IT_IS, **options)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no UTF-8 text ({error.reason}); save it as UTF-8.") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        raise DataError(
            f"{path}: is no table with separator {separator!r}{_way_out(path, separator, error)}"
        ) from error


def _way_out(path: Path, separator: str, error: Exception) -> str:
    """Why lines do not fit the header: most often it has another of the usual separators."""
    with path.open(encoding="utf-8", errors="replace") as file:
        header = file.readline()
    other = max(SEPARATORS, key=header.count)
    if separator not in header and other in header:
        name = json.dumps(other)  # as TOML writes a tab
        return (
            f", for its first line has {name}; set data.csv.separator = {name}, or write the file with {separator!r}."
        )
    said = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
    said = "a line is longer than the first" if said.startswith("Length of header") else said
    return f" ({said}); mend that line, or name another separator."


def with_words(
    frame: pd.DataFrame, path: Path, separator: str, names: Sequence[str], as_text: Sequence[str]
) -> pd.DataFrame:
    """The same table, but in the columns `names` only an empty cell is a gap.

    Pandas takes words such as None, NA and null for gaps everywhere; among numbers they are, but they may also name
    classes and categories.

    Args:
        frame: the table that `read_csv` returned.
        path: the file that it was read from.
        separator: of the columns.
        names: columns in which such words are values.
        as_text: those of them to read as text, whatever they look like.
    """
    import pandas as pd

    places = [place for place, name in enumerate(frame.columns) if name in names and frame[name].isna().any()]
    if not places:
        return frame
    words = pd.read_csv(
        expanded(path),
        sep=separator,
        skip_blank_lines=len(frame.columns) > 1,
        usecols=places,
        dtype=dict.fromkeys(as_text, "str"),
        keep_default_na=False,
        na_values=[""],
        **_AS_IT_IS,
    )
    frame[[*words.columns]] = words
    return frame


def _checked_width(path: Path, separator: str) -> int:
    """The number of columns, after checking that names are unique, as pandas would rename them; some may be empty."""
    import pandas as pd

    header = pd.read_csv(path, sep=separator, header=None, nrows=1, dtype="str", keep_default_na=False, **_AS_IT_IS)
    names = [name for name in header.iloc[0] if name]
    is_header = sum(number_in(name) is not None for name in names) <= len(names) / 2
    check_names(names, path, "rename one" if is_header else _NO_HEADER)
    return len(header.columns)


def number_in(text: str) -> float | None:
    """The number that a text is, if it is one."""
    try:
        return float(text)
    except ValueError:
        return None


def check_names(names: Sequence[str], where: str | Path, cure: str = "rename one") -> None:
    """Check that no two columns have the same name; `cure` tells in an error what to do about it.

    Raises:
        DataError: two have.
    """
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"{where}: has two columns named {twice!r}; {cure}.")
