"""Which features of a table's rows belong together: a number and the mark of its gaps, or all features of a category.

`data/encoder.py` makes them; whoever changes rows must know, so that they stay rows which it could have made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Layout:
    """The order of a row's features: first numbers, then the marks of those that have one, then one-hot categories."""

    marked: tuple[bool, ...]
    """Whether each number has a mark, which is 1 where it is missing and 0 elsewhere."""
    categories: tuple[tuple[bool, ...], ...] = ()
    """Whether each of a category's features is the one of missing values; where none is, all are 0 then."""

    @classmethod
    def of_numbers(cls, count: int) -> Layout:
        """Numbers alone, without marks."""
        return cls((False,) * count)

    @classmethod
    def of_encoder(cls, encoder: dict[str, Any]) -> Layout:
        """The layout of the rows that an encoder makes, as `TableEncoder.to_dict` tells of it."""
        categories = encoder["categories"].values()
        return cls(
            marked=tuple(number["missing"] for number in encoder["numbers"]),
            categories=tuple(tuple(value is None for value in known) for known in categories),
        )

    @property
    def numbers(self) -> int:
        """How many there are; number i is feature i."""
        return len(self.marked)

    @property
    def columns(self) -> int:
        """Numbers and categories: what was one column before it was encoded."""
        return len(self.marked) + len(self.categories)

    @cached_property
    def column_of(self) -> NDArray[np.intp]:
        """The column of each feature, [features]: numbers are the first ones."""
        marks = [column for column, is_marked in enumerate(self.marked) if is_marked]
        one_hot = [column for column, each in enumerate(self.categories, start=self.numbers) for _ in each]
        return np.array([*range(self.numbers), *marks, *one_hot], dtype=np.intp)

    @cached_property
    def missing(self) -> NDArray[np.float32]:
        """What each feature is where its column has no value, [features]; 0 is a number's mean."""
        one_hot = [stands_for_none for each in self.categories for stands_for_none in each]
        return np.array([0.0] * self.numbers + [1.0] * sum(self.marked) + one_hot, dtype=np.float32)

    def gaps(self, rows: NDArray[Any]) -> NDArray[np.bool_]:
        """Which numbers of [rows, features] are marked as missing, [rows, numbers]."""
        found = np.zeros((len(rows), self.numbers), dtype=np.bool_)
        found[:, list(self.marked)] = rows[:, self.numbers : self.numbers + sum(self.marked)] == 1
        return found
