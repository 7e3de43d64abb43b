"""From columns to float32 features: numbers standardised, categories one-hot, gaps filled and marked.

Every statistic is of the training split alone. The encoder is plain JSON afterwards, so `predict` encodes new
rows with exactly what training used.
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
"""Standard deviations from the mean, where new rows end: float32 must not overflow. Of n training rows none is
farther out than the square root of n."""
_MOST_SAID = 5
"""Columns of which the same is said."""


@dataclass(frozen=True)
class Number:
    """A column of numbers; `missing`: the training split had gaps, so the features have an indicator."""

    name: str
    mean: float
    std: float
    missing: bool


@dataclass(frozen=True)
class TableEncoder:
    """Features in this order: numbers, indicators of missing numbers, one-hot categories."""

    columns: tuple[str, ...]
    """All input columns of the source in its order, those that were dropped for being constant included."""
    numbers: tuple[Number, ...]
    categories: dict[str, tuple[str | None, ...]]
    """Known values a column; None stands for missing, where the training split had gaps."""

    @classmethod
    def fit(cls, frame: pd.DataFrame) -> TableEncoder:
        """The encoder of a training split that `check_table` has passed."""
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
        """One name a feature, in order."""
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
            DataError: a column is missing, holds no numbers where numbers were, or has infinite values.
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
        """What new rows have that training has not seen, a line a column; `transform` takes it without a word."""
        said = []
        for name, known in self.categories.items():
            familiar = set(known)
            new = [value for value in _as_known(frame[name], known) if value not in familiar]
            if new:
                what = "no value" if new[0] is None else repr(new[0])
                rows = "1 row has" if len(new) == 1 else f"{len(new):,} rows have"
                said.append(f"{rows} a {name!r} that training had not ({what}); it counts as none")
        gaps = frame[[number.name for number in self.numbers if not number.missing]].isna().sum()
        said += [
            ("1 row lacks" if count == 1 else f"{count:,} rows lack")
            + f" {name!r}, which was never missing in training; it counts as its mean"
            for name, count in gaps.items()
            if count
        ]
        return said

    def _standardised(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        mean = np.array([number.mean for number in self.numbers], dtype=np.float64)
        std = np.array([number.std for number in self.numbers], dtype=np.float64)
        with np.errstate(over="ignore"):
            return np.clip((values - mean) / std, -FARTHEST, FARTHEST)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values; `from_dict` gives an equal encoder back."""
        return {
            "columns": list(self.columns),
            "numbers": [vars(number).copy() for number in self.numbers],
            "categories": {name: list(known) for name, known in self.categories.items()},
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> TableEncoder:
        """The encoder that `to_dict` described."""
        return cls(
            columns=tuple(document["columns"]),
            numbers=tuple(Number(**number) for number in document["numbers"]),
            categories={name: tuple(known) for name, known in document["categories"].items()},
        )

    def _gaps_in_words(self) -> dict[str, str]:
        """What becomes of a gap in each column that is used, in the order of the columns."""
        numbers = {number.name: f"filled with the training mean {number.mean:.6g}" for number in self.numbers}
        texts = {name: _text_gaps_in_words(known) for name, known in self.categories.items()}
        return {name: told for name in self.columns if (told := numbers.get(name) or texts.get(name))}

    def notes(self, frame: pd.DataFrame) -> list[str]:
        """What a person must be told of how the columns of `frame` (all splits) became features."""
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
    """Whether different integers are one number to who computes with float64."""
    known = column.dropna() if pd.api.types.is_integer_dtype(column) else column[:0]
    is_large = len(known) > 0 and max(-int(known.min()), int(known.max())) > LARGEST
    return is_large and bool(known.astype("float64").nunique() < known.nunique())


def _as_texts(column: pd.Series) -> list[str | None]:
    gaps = column.isna().to_numpy()
    return [None if gap else str(value) for value, gap in zip(column.astype("object"), gaps, strict=True)]


def _as_known(column: pd.Series, known: Sequence[str | None]) -> list[str | None]:
    """Values as training knows them, where a truth value, or what is a number and no text, means one of the known.

    One and the same column is text in one file, and truth values or numbers in another, or in a data frame that was
    read from it: gaps in it decide that, or the rows that are there.
    """
    texts, familiar = _as_texts(column), set(known)
    if familiar.issuperset(texts):
        return texts
    by_meaning: dict[float | str, str | None] = {}
    for text in filter(None, known):
        meaning = _meaning(text)
        if meaning is not None:
            by_meaning[meaning] = None if meaning in by_meaning else text  # of two that mean the same it is neither

    def of(value: object, text: str | None) -> str | None:
        meaning = None if text is None or text in familiar else _meaning(text)
        if meaning is None or (isinstance(value, str) and not isinstance(meaning, str)):
            return text
        return by_meaning.get(meaning) or text

    return [of(value, text) for value, text in zip(column.astype("object"), texts, strict=True)]


def _meaning(text: str) -> float | str | None:
    """The number that a text stands for, or the truth value, in small letters; None of any other."""
    if (word := text.lower()) in ("true", "false"):
        return word
    try:
        return float(text)
    except ValueError:
        return None


def _one_hot(values: list[str | None], known: Sequence[str | None]) -> npt.NDArray[np.bool_]:
    """[rows, len(known)]; a value that is not known is all zeros."""
    place = {value: i for i, value in enumerate(known)}
    codes = np.array([place.get(value, -1) for value in values], dtype=np.int64)
    return np.equal(codes[:, None], np.arange(len(known)))


def _shortened(said: list[str], what: str) -> list[str]:
    left_out = len(said) - _MOST_SAID
    return said if left_out <= 0 else [*said[:_MOST_SAID], f"and {left_out:,} more {what}"]
