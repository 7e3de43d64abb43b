"""Reading CSV files: which columns they have, and which of their cells are gaps.

Nothing heavy is imported at the top, because the entries of `sources/` import this module.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distill_tune.data.files import check_names, of_kind
from distill_tune.errors import DataError
from distill_tune.paths import expanded

if TYPE_CHECKING:
    import pandas as pd

_SEPARATORS = ",;\t|"
"""The usual separators of columns."""
_AS_IT_IS: dict[str, Any] = {"low_memory": False, "index_col": False, "compression": None}
"""How pandas reads all CSV files: each column has one type, none is an index, and nothing is unpacked because of the
file's name: an unpacked file may still be called .csv.gz."""
_NO_HEADER = "its first line seems to hold values, not names; write a line of names above it"


def read_csv(path: str | Path, separator: str = ",", key: str | None = None, **options: Any) -> pd.DataFrame:
    """A CSV file with a header line, as pandas reads it; `options` go to `pandas.read_csv`.

    Empty lines are skipped, except in a file of one column, where they are empty cells. `key` is the configuration's
    key for the separator, which errors name; None if it cannot be set.

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
            f"{path}: is no table with separator {separator!r}{_way_out(path, separator, error, key)}"
        ) from error


def _way_out(path: Path, separator: str, error: Exception, key: str | None) -> str:
    """Why lines do not fit the header: most often it has another of the usual separators."""
    header, other = _header(path), likely_separator(path)
    if separator not in header and other in header:
        name = json.dumps(other)  # as TOML writes a tab
        cure = "" if key is None else f"set {key} = {name}, or "
        return f", for its first line has {name}; {cure}write the file with {separator!r}."
    said = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
    said = "a line is longer than the first" if said.startswith("Length of header") else said
    return f" ({said}); mend that line{'' if key is None else ', or name another separator'}."


def likely_separator(path: Path) -> str:
    """The most frequent of the usual separators in the header line."""
    return max(_SEPARATORS, key=_header(path).count)


def _header(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline()


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
