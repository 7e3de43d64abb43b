"""The kinds of a table's columns: numbers, categories, or something that features cannot be made from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill_tune.errors import DataError

MAX_CATEGORIES = 100
MAX_SIZE = 1e100
"""Much larger numbers overflow when squared; nothing measured is that large."""
_OF_A_DATE = "such as the days since one date, the month or the hour"
"""Numbers that a network can learn from a date or time; as text, each day adds a category."""
_MONTH = (
    r"(?i:jan(uary)?|feb(ruary)?|mar(ch)?|apr(il)?|may|june?|july?|aug(ust)?|sept?(ember)?|oct(ober)?|nov(ember)?|"
    r"dec(ember)?)\.?"
)
_DAYS = (
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}",
    r"\d{1,2}[-/]\d{1,2}[-/]\d{2,4}",
    r"\d{1,2}\.\d{1,2}\.\d{4}",
    rf"(\d{{1,2}}[-. /]+)?{_MONTH}[-, /]+\d{{2,4}}",
    rf"{_MONTH} \d{{1,2}},? \d{{4}}",
    r"(19|20)\d{2}[-/](0?[1-9]|1[0-2])",
)
_DAY = f"({'|'.join(_DAYS)})"
_HOUR = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp][Mm])?(Z| ?[+-]\d{2}:?\d{2})?"
_DATE = rf" *({_DAY}([ T]{_HOUR})?|{_HOUR}) *"
"""Common formats of dates and times, in any country's order; the names of months are English."""


def column_kind(column: pd.Series, cure: str = "leave it out") -> str:
    """`"number"` or `"category"`; `cure` tells in an error how to leave a column out.

    Raises:
        DataError: the column is neither (dates, lists, complex numbers).
    """
    kinds = pd.api.types
    if kinds.is_numeric_dtype(column) and not kinds.is_complex_dtype(column):
        return "number"
    if is_category(column):
        return "category"
    such = f", {_OF_A_DATE}" if _holds_dates(column) else ""
    raise DataError(f"column {column.name!r} holds {_held(column)}; make numbers or text of it{such}, or {cure}.")


def is_category(column: pd.Series) -> bool:
    """Whether a column holds categories: text, or booleans with gaps."""
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(column):
        return True
    return column.dtype == object and bool(column.dropna().map(lambda v: isinstance(v, str | bool)).all())


def _held(column: pd.Series) -> str:
    """The type of a column that holds neither numbers nor text; for Python objects, with an example."""
    if column.dtype != object:
        return f"{column.dtype}"
    first = next(value for value in column.dropna() if not isinstance(value, str | bool))
    return f"{type(first).__name__}, such as {str(first)!r:.40}"


def _holds_dates(column: pd.Series) -> bool:
    """Whether a column holds date or time values, rather than text."""
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    return column.dtype.kind == "M" or inferred in ("date", "datetime", "datetime64", "time")


def check_table(frame: pd.DataFrame, where: str, cure: str) -> None:
    """Refuse columns that cannot become features; `cure` tells how to leave a column out.

    Raises:
        DataError: an infinite number, a column of another kind, or more than 100 distinct texts.
    """
    try:
        numbers = [name for name in frame.columns if column_kind(frame[name], cure) == "number"]
        as_numbers(frame, numbers)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    for name in frame.columns.difference(numbers, sort=False):
        if (distinct := frame[name].nunique()) > MAX_CATEGORIES:
            almost = almost_numbers(frame[name])
            what, way_out = almost or (f"such as {frame[name].dropna().iloc[0]!r:.40}", "")
            raise DataError(
                f"{where}: column {name!r} is text with {distinct:,} distinct values ({what}); at most "
                f"{MAX_CATEGORIES} can be told apart; {way_out and f'{way_out}, or '}{cure}."
            )


class Almost(NamedTuple):
    """Why a column of numbers, or of values that could be numbers, was read as text."""

    what: str
    way_out: str


def almost_numbers(column: pd.Series) -> Almost | None:
    """Why a column was read as text, if it looks like numbers or dates; else None."""
    counts = column.dropna().astype("str").value_counts()
    stray = counts[pd.to_numeric(counts.index, errors="coerce").isna()]
    if stray.empty:
        return None
    first, total = stray.index[0], stray.sum()
    if (in_thousands := stray.index.str.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?")).all():
        return Almost(f"numbers with commas between thousands, such as {first!r}", "leave the commas out")
    with_points = pd.to_numeric(stray.index.str.replace(",", ".", regex=False), errors="coerce")
    if stray[~np.isnan(with_points) & ~in_thousands].sum() > total / 2:
        return Almost(f"numbers with decimal commas, such as {first!r}", "write points")
    if stray[are_dates := stray.index.str.fullmatch(_DATE)].sum() > counts.sum() / 2:
        what = f"dates or times, such as {stray.index[are_dates][0]!r}"
        return Almost(what, f"make numbers of them, {_OF_A_DATE}")
    if total < counts.sum() / 2:
        return Almost(f"numbers, but for {total:,} such as {first!r}", "leave those cells empty")
    return None


def as_numbers(frame: pd.DataFrame, names: list[str]) -> npt.NDArray[np.float64]:
    """Columns as float64 [rows, len(names)], missing values as NaN.

    Raises:
        DataError: a value is not a number, or is infinite.
    """
    chosen = frame[names]
    for name in names:
        if not pd.api.types.is_numeric_dtype(frame[name]) or pd.api.types.is_complex_dtype(frame[name]):
            chosen = chosen.copy(deep=False)
            chosen[name] = _parsed(frame[name])
    values: npt.NDArray[np.float64] = chosen.to_numpy(dtype=np.float64, na_value=np.nan)
    huge: npt.NDArray[np.bool_] = np.greater(np.abs(values), MAX_SIZE)
    if huge.any():
        row, column = np.argwhere(huge)[0]
        raise DataError(
            f"column {names[column]!r} has {np.count_nonzero(huge[:, column]):,} infinite (or above "
            f"{MAX_SIZE:g}) values, the first in row {row}; replace them or leave them empty."
        )
    return values


def _parsed(column: pd.Series) -> pd.Series:
    is_time = column.dtype.kind in "mM" or isinstance(column.dtype, pd.PeriodDtype)  # else counted from 1970
    parsed = column if is_time else pd.to_numeric(column, errors="coerce")
    if is_time or pd.api.types.is_complex_dtype(parsed):  # the imaginary part would be dropped
        raise DataError(f"column {column.name!r} must hold numbers, but holds {parsed.dtype}; make numbers of it.")
    stray = np.flatnonzero(parsed.isna().to_numpy() & column.notna().to_numpy())
    if len(stray):
        raise DataError(
            f"column {column.name!r} must hold numbers, but row {stray[0]} has {column.iloc[stray[0]]!r}; "
            "make it a number or leave it empty."
        )
    return parsed
