"""Some rows of a large table: once a teacher's logits are in the cache, those of training are not asked for again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class KeptRows:
    """Rows that are asked for by the numbers they have in the whole table."""

    numbers: np.ndarray
    """int64 [kept], ascending."""
    rows: np.ndarray
    """[kept, classes]."""

    @classmethod
    def of(cls, table: np.ndarray, numbers: np.ndarray) -> KeptRows:
        """A copy of these rows, `numbers` ascending; nothing else of the table is held."""
        import numpy as np

        return cls(numbers, np.array(table[numbers]))

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """[asked, classes].

        Raises:
            IndexError: one of them was not kept.
        """
        import numpy as np

        places = np.searchsorted(self.numbers, numbers)
        if not np.isin(numbers, self.numbers).all():
            raise IndexError("a row was asked for that was not kept.")
        return np.asarray(self.rows[places])
