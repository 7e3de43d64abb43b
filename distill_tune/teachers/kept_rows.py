"""Some rows of a large table: once a teacher's logits are cached, those of the training rows are not needed again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class KeptRows:
    """Rows that are looked up by their numbers in the whole table."""

    numbers: np.ndarray
    """int64 [kept], ascending."""
    rows: np.ndarray
    """[kept, classes]."""

    @classmethod
    def of(cls, table: np.ndarray, numbers: np.ndarray) -> KeptRows:
        """A copy of these rows, `numbers` ascending; the rest of the table is not kept alive."""
        import numpy as np

        return cls(numbers, np.array(table[numbers]))

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """The rows with these numbers, [asked, classes].

        Raises:
            IndexError: a row was not kept.
        """
        import numpy as np

        places = np.searchsorted(self.numbers, numbers)
        if not np.isin(numbers, self.numbers).all():
            raise IndexError("a row was asked for that was not kept.")
        return np.asarray(self.rows[places])
