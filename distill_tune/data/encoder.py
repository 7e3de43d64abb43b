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

from distill_tune.data.columns import as_numbers, column_kind
from distill_tune.errors import DataError
from distill_tune.registry import did_you_mean

Features = npt.NDArray[np.float32]
FARTHEST = 1e6
"""Limit in standard deviations from the mean, to which new rows are clipped lest float32 overflow. Of n training rows
none is farther out than the square root of n."""


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
            *(_one_hot(as_known(frame[name], known), known) for name, known in self.categories.items()),
        ]
        return np.ascontiguousarray(np.concatenate(blocks, axis=1), dtype=np.float32)

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


def _as_texts(column: pd.Series) -> list[str | None]:
    gaps = column.isna().to_numpy()
    return [None if gap else str(value) for value, gap in zip(column.astype("object"), gaps, strict=True)]


def as_known(column: pd.Series, known: Sequence[str | None]) -> list[str | None]:
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
