"""What users are told of a table's columns: what became of them in training, and what is strange about new rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from distill_tune.config.numbers import LARGEST
from distill_tune.data.columns import almost_numbers
from distill_tune.data.encoder import TableEncoder, as_known

WORDS_FOR_GAPS = ("NA", "N/A", "n/a", "<NA>", "NULL", "null", "None", "NaN", "nan")
"""Words that may name a category, but that `pandas.read_csv` takes for gaps by default."""
_MOST_SAID = 5
"""Columns that are named in notes of one kind."""


def said_of_columns(encoder: TableEncoder, frame: pd.DataFrame) -> list[str]:
    """What users must be told about how the columns of `frame` (all splits) became features."""
    gaps, became = frame.isna().sum(), _gaps_in_words(encoder)
    said = [f"{gaps[name]:,} missing values in {name!r} {became[name]}" for name in became if gaps[name]]
    said += [
        f"column {number.name!r} has another value in every row; if it is the row's number, leave it out"
        for number in encoder.numbers
        if pd.api.types.is_integer_dtype(frame[number.name]) and frame[number.name].is_unique and len(frame) > 20
    ]
    said += [
        f"column {name!r} has integers beyond 2^53, of which several become one number; if they are names, put a "
        "letter in front"
        for name in encoder.columns
        if _are_merged(frame[name])
    ]
    odd = [
        f"column {name!r} counts as {len(known)} categories, and has {almost.what}; if numbers are meant, "
        f"{almost.way_out}"
        for name, known in encoder.categories.items()
        if (almost := almost_numbers(frame[name]))
    ]
    constant = [f"column {name!r} dropped: constant in the training split" for name in encoder.dropped]
    return [
        *_shortened(said, "columns with missing values"),
        *_shortened(odd, "columns of text that may be numbers"),
        *_shortened(constant, "columns dropped"),
    ]


def unfamiliar(encoder: TableEncoder, frame: pd.DataFrame) -> list[str]:
    """What new rows have that training had not, one line per column; `transform` accepts it silently."""
    said = []
    for name, known in encoder.categories.items():
        familiar = set(known)
        new = [value for value in as_known(frame[name], known) if value not in familiar]
        texts = [text for text in new if text is not None]
        if texts:
            rows = "1 row has" if len(texts) == 1 else f"{len(texts):,} rows have"
            said.append(f"{rows} a {name!r} that training had not ({texts[0]!r}); it counts as none")
        said += _lacking(name, len(new) - len(texts), "none of its categories")
    gaps = frame[[number.name for number in encoder.numbers if not number.missing]].isna().sum()
    return said + [line for name, count in gaps.items() for line in _lacking(str(name), count, "its mean")]


def words_for_gaps(encoder: TableEncoder, frame: pd.DataFrame) -> list[str]:
    """Of a frame that pandas may have read: gaps in columns with a category whose name pandas takes for a gap."""
    words = {
        name: next((text for text in known if text in WORDS_FOR_GAPS), None)
        for name, known in encoder.categories.items()
    }
    gaps = {name: frame[name].isna().sum() for name, word in words.items() if word is not None}
    return [
        f"{'1 gap' if count == 1 else f'{count:,} gaps'} in {name!r}, of which {words[name]!r} is a category: if "
        "pandas.read_csv made gaps of that word, read with keep_default_na=False, na_values=['']"
        for name, count in gaps.items()
        if count
    ]


def _gaps_in_words(encoder: TableEncoder) -> dict[str, str]:
    """What is done with gaps in each column that is used, in the order of the columns."""
    numbers = {number.name: f"filled with the training mean {number.mean:.6g}" for number in encoder.numbers}
    texts = {name: _text_gaps_in_words(known) for name, known in encoder.categories.items()}
    return {name: told for name in encoder.columns if (told := numbers.get(name) or texts.get(name))}


def _lacking(name: str, count: int, meaning: str) -> list[str]:
    rows = "1 row lacks" if count == 1 else f"{count:,} rows lack"
    return [f"{rows} {name!r}, which was never missing in training; it counts as {meaning}"] if count else []


def _text_gaps_in_words(known: Sequence[str | None]) -> str:
    is_known = None in known
    return (
        "made a category of their own" if is_known else "count as none of its categories, as training has no gap there"
    )


def _are_merged(column: pd.Series) -> bool:
    """Whether different integers become equal as float64."""
    known = column.dropna() if pd.api.types.is_integer_dtype(column) else column[:0]
    is_large = len(known) > 0 and max(-int(known.min()), int(known.max())) > LARGEST
    return is_large and bool(known.astype("float64").nunique() < known.nunique())


def _shortened(said: list[str], what: str) -> list[str]:
    left_out = len(said) - _MOST_SAID
    return said if left_out <= 0 else [*said[:_MOST_SAID], f"and {left_out:,} more {what}"]
