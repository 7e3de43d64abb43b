"""Which features of a table's rows belong together: a number and its missing mark, or all features of a category.

`data/encoder.py` makes the rows; code that alters them needs this to keep them rows that the encoder could have made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Layout:
    """The order of a row's features: numbers, then the missing marks of some, then one-hot categories."""

    marked: tuple[bool, ...]
    """Whether each number has a missing mark, which is 1 if the number is missing and 0 otherwise."""
    categories: tuple[tuple[bool, ...], ...] = ()
    """For each category, whether each feature stands for a missing value; without one, all are 0 if it is missing."""

    @classmethod
    def of_numbers(cls, count: int) -> Layout:
        """The layout of numbers alone, without marks."""
        return cls((False,) * count)

    @classmethod
    def of_encoder(cls, encoder: dict[str, Any]) -> Layout:
        """The layout of the rows that an encoder makes, from its `TableEncoder.to_dict`."""
        categories = encoder["categories"].values()
        return cls(
            marked=tuple(number["missing"] for number in encoder["numbers"]),
            categories=tuple(tuple(value is None for value in known) for known in categories),
        )

    @property
    def numbers(self) -> int:
        """The count of numbers; number i is feature i."""
        return len(self.marked)

    @property
    def columns(self) -> int:
        """The count of numbers and categories, each of which was one column before encoding."""
        return len(self.marked) + len(self.categories)

    @cached_property
    def column_of(self) -> NDArray[np.intp]:
        """The column of each feature, [features]; numbers are the first columns."""
        marks = [column for column, is_marked in enumerate(self.marked) if is_marked]
        one_hot = [column for column, each in enumerate(self.categories, start=self.numbers) for _ in each]
        return np.array([*range(self.numbers), *marks, *one_hot], dtype=np.intp)

    @cached_property
    def missing(self) -> NDArray[np.float32]:
        """Each feature's value if its column is missing, [features]; 0 is a number's mean."""
        one_hot = [stands_for_none for each in self.categories for stands_for_none in each]
        return np.array([0.0] * self.numbers + [1.0] * sum(self.marked) + one_hot, dtype=np.float32)

    def gaps(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Which numbers of [rows, features] are marked as missing, [rows, numbers]."""
        found = np.zeros((len(rows), self.numbers), dtype=np.bool_)
        found[:, list(self.marked)] = rows[:, self.numbers : self.numbers + sum(self.marked)] == 1
        return found
