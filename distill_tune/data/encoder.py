"""From columns to float32 features: numbers standardised, categories one-hot, gaps filled and marked.

All statistics are of the training split only. The encoder is stored as plain JSON, so that `predict` encodes new rows
exactly as in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from distill_tune.config.numbers import LARGEST
from distill_tune.data.columns import almost_numbers, as_numbers, column_kind
from distill_tune.errors import DataError
from distill_tune.registry import did_you_mean

Features = npt.NDArray[np.float32]
FARTHEST = 1e6
"""Limit in standard deviations from the mean, to which new rows are clipped lest float32 overflow. Of n training rows
none is farther out than the square root of n."""
WORDS_FOR_GAPS = ("NA", "N/A", "n/a", "<NA>", "NULL", "null", "None", "NaN", "nan")
"""Words that may name a category, but that `pandas.read_csv` takes for gaps by default."""
_MOST_SAID = 5
"""Columns that are named in notes of one kind."""


@dataclass(frozen=True)
class Number:
    """A column of numbers; with `missing`, the training split had gaps and the features include an indicator."""

    name: str
    mean: float
    std: float
    missing: bool


@dataclass(frozen=True)
class TableEncoder:
    """Features in this order: numbers, indicators of missing numbers, one-hot categories."""

    columns: tuple[str, ...]
    """All input columns in the source's order, including those dropped as constant."""
    numbers: tuple[Number, ...]
    categories: dict[str, tuple[str | None, ...]]
    """Column to its known values; None stands for missing, if the training split had gaps."""

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> TableEncoder:
        """The encoder of a training split that has passed `check_table`."""
        kinds = {name: column_kind(frame[name]) for name in frame.columns}
        texts = {name: _as_texts(frame[name]) for name, kind in kinds.items() if kind == "category"}
        known = {name: tuple(sorted(set(values), key=lambda v: (v is None, v or ""))) for name, values in texts.items()}
        return cls(
            columns=tuple(frame.columns),
            numbers=_fit_numbers(frame, [name for name, kind in kinds.items() if kind == "number"]),
            categories={name: values for name, values in known.items() if len(values) > 1},
        )

    @property
    def dropped(self) -> tuple[str, ...]:
        """Columns that were constant in the training split."""
        used = {number.name for number in self.numbers} | set(self.categories)
        return tuple(name for name in self.columns if name not in used)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The name of each feature, in order."""
        return (
            *(number.name for number in self.numbers),
            *(f"{number.name} is missing" for number in self.numbers if number.missing),
            *(
                f"{name} is missing" if value is None else f"{name} = {value}"
                for name, known in self.categories.items()
                for value in known
            ),
        )

    def transform(self, frame: pd.DataFrame) -> Features:
        """Features [rows, len(feature_names)] of new rows; other columns are ignored.

        Raises:
            DataError: a column is missing, or one of numbers holds other or infinite values.
        """
        needed = [*(number.name for number in self.numbers), *self.categories]
        for name in needed:
            if name not in frame.columns:
                raise DataError(f"no column {name!r}.{did_you_mean(name, [str(c) for c in frame.columns])}")
        values = as_numbers(frame, [number.name for number in self.numbers])
        gaps = np.isnan(values)
        blocks = [
            np.where(gaps, 0.0, self._standardised(values)),
            gaps[:, [number.missing for number in self.numbers]],
            *(_one_hot(_as_known(frame[name], known), known) for name, known in self.categories.items()),
        ]
        return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)

    def unfamiliar(self, frame: pd.DataFrame) -> list[str]:
        """What new rows have that training had not, one line per column; `transform` accepts it silently."""
        said = []
        for name, known in self.categories.items():
            familiar = set(known)
            new = [value for value in _as_known(frame[name], known) if value not in familiar]
            texts = [text for text in new if text is not None]
            if texts:
                rows = "1 row has" if len(texts) == 1 else f"{len(texts):,} rows have"
                said.append(f"{rows} a {name!r} that training had not ({texts[0]!r}); it counts as none")
            said += _lacking(name, len(new) - len(texts), "none of its categories")
        gaps = frame[[number.name for number in self.numbers if not number.missing]].isna().sum()
        return said + [line for name, count in gaps.items() for line in _lacking(str(name), count, "its mean")]

    def words_for_gaps(self, frame: pd.DataFrame) -> list[str]:
        """Of a frame that pandas may have read: gaps in columns with a category whose name pandas takes for a gap."""
        words = {
            name: next((text for text in known if text in WORDS_FOR_GAPS), None)
            for name, known in self.categories.items()
        }
        gaps = {name: frame[name].isna().sum() for name, word in words.items() if word is not None}
        return [
            f"{'1 gap' if count == 1 else f'{count:,} gaps'} in {name!r}, of which {words[name]!r} is a category: if "
            "pandas.read_csv made gaps of that word, read with keep_default_na=False, na_values=['']"
            for name, count in gaps.items()
            if count
        ]

    def _standardised(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        mean = np.array([number.mean for number in self.numbers], dtype=np.float64)
        std = np.array([number.std for number in self.numbers], dtype=np.float64)
        with np.errstate(over="ignore"):
            return np.clip((values - mean) / std, -FARTHEST, FARTHEST)

    def to_dict(self) -> dict[str, Any]:
        """The encoder as JSON-serialisable values; `from_dict` returns an equal one."""
        return {
            "columns": list(self.columns),
            "numbers": [vars(number).copy() for number in self.numbers],
            "categories": {name: list(known) for name, known in self.categories.items()},
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> TableEncoder:
        """The encoder of a `to_dict` document."""
        return cls(
            columns=tuple(document["columns"]),
            numbers=tuple(Number(**number) for number in document["numbers"]),
            categories={name: tuple(known) for name, known in document["categories"].items()},
        )

    def _gaps_in_words(self) -> dict[str, str]:
        """What is done with gaps in each column that is used, in the order of the columns."""
        numbers = {number.name: f"filled with the training mean {number.mean:.6g}" for number in self.numbers}
        texts = {name: _text_gaps_in_words(known) for name, known in self.categories.items()}
        return {name: told for name in self.columns if (told := numbers.get(name) or texts.get(name))}

    def notes(self, frame: pd.DataFrame) -> list[str]:
        """What users must be told about how the columns of `frame` (all splits) became features."""
        gaps, became = frame.isna().sum(), self._gaps_in_words()
        said = [f"{gaps[name]:,} missing values in {name!r} {became[name]}" for name in became if gaps[name]]
        said += [
            f"column {number.name!r} has another value in every row; if it is the row's number, leave it out"
            for number in self.numbers
            if pd.api.types.is_integer_dtype(frame[number.name]) and frame[number.name].is_unique and len(frame) > 20
        ]
        said += [
            f"column {name!r} has integers beyond 2^53, of which several become one number; if they are names, put a "
            "letter in front"
            for name in self.columns
            if _are_merged(frame[name])
        ]
        odd = [
            f"column {name!r} counts as {len(known)} categories, and has {almost.what}; if numbers are meant, "
            f"{almost.way_out}"
            for name, known in self.categories.items()
            if (almost := almost_numbers(frame[name]))
        ]
        constant = [f"column {name!r} dropped: constant in the training split" for name in self.dropped]
        return [
            *_shortened(said, "columns with missing values"),
            *_shortened(odd, "columns of text that may be numbers"),
            *_shortened(constant, "columns dropped"),
        ]


def _lacking(name: str, count: int, meaning: str) -> list[str]:
    rows = "1 row lacks" if count == 1 else f"{count:,} rows lack"
    return [f"{rows} {name!r}, which was never missing in training; it counts as {meaning}"] if count else []


def _text_gaps_in_words(known: Sequence[str | None]) -> str:
    is_known = None in known
    return (
        "made a category of their own" if is_known else "count as none of its categories, as training has no gap there"
    )


def _fit_numbers(frame: pd.DataFrame, names: list[str]) -> tuple[Number, ...]:
    values = as_numbers(frame, names)
    gaps = np.isnan(values)
    count = np.maximum(1, (~gaps).sum(axis=0))
    mean = np.where(gaps, 0.0, values).sum(axis=0) / count
    std = np.sqrt((np.where(gaps, 0.0, values - mean) ** 2).sum(axis=0) / count)
    low, high = np.where(gaps, np.inf, values).min(axis=0), np.where(gaps, -np.inf, values).max(axis=0)
    varies, some = high > low, np.asarray(gaps.any(axis=0))
    std = np.where(varies & (std > 0), std, 1.0)  # one value and gaps: only the indicator tells rows apart
    keep = varies | (some & ~gaps.all(axis=0))
    return tuple(Number(names[i], float(mean[i]), float(std[i]), bool(some[i])) for i in np.flatnonzero(keep))


def _are_merged(column: pd.Series) -> bool:
    """Whether different integers become equal as float64."""
    known = column.dropna() if pd.api.types.is_integer_dtype(column) else column[:0]
    is_large = len(known) > 0 and max(-int(known.min()), int(known.max())) > LARGEST
    return is_large and bool(known.astype("float64").nunique() < known.nunique())


def _as_texts(column: pd.Series) -> list[str | None]:
    gaps = column.isna().to_numpy()
    return [None if gap else str(value) for value, gap in zip(column.astype("object"), gaps, strict=True)]


def _as_known(column: pd.Series, known: Sequence[str | None]) -> list[str | None]:
    """Values as training knows them: booleans, and numbers that are not text, become the known text they mean.

    The same column may be read as text from one file, and as booleans or numbers from another or in a data frame,
    depending on its gaps and rows.
    """
    texts, familiar = _as_texts(column), set(known)
    if familiar.issuperset(texts):
        return texts
    by_meaning: dict[float | str, str | None] = {}
    for text in filter(None, known):
        meaning = _meaning(text)
        if meaning is not None:
            by_meaning[meaning] = None if meaning in by_meaning else text  # if two mean the same, match neither

    def of(value: object, text: str | None) -> str | None:
        meaning = None if text is None or text in familiar else _meaning(text)
        if meaning is None or (isinstance(value, str) and not isinstance(meaning, str)):
            return text
        return by_meaning.get(meaning) or text

    return [of(value, text) for value, text in zip(column.astype("object"), texts, strict=True)]


def _meaning(text: str) -> float | str | None:
    """The number that a text stands for, or the lower-case boolean; None for any other text."""
    if (word := text.lower()) in ("true", "false"):
        return word
    try:
        return float(text)
    except ValueError:
        return None


def _one_hot(values: list[str | None], known: Sequence[str | None]) -> npt.NDArray[np.bool_]:
    """One-hot rows [rows, len(known)]; an unknown value is all zeros."""
    place = {value: i for i, value in enumerate(known)}
    codes = np.array([place.get(value, -1) for value in values], dtype=np.int64)
    return np.equal(codes[:, None], np.arange(len(known)))


def _shortened(said: list[str], what: str) -> list[str]:
    left_out = len(said) - _MOST_SAID
    return said if left_out <= 0 else [*said[:_MOST_SAID], f"and {left_out:,} more {what}"]
