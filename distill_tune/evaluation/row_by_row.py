"""What is computed of each sample's logits alone, some samples at a time.

A matrix in float64 is twice that in float32, and a softmax makes several.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Numbers = NDArray[Any]

_VALUES = 1 << 16
"""In the logits of one portion: half a megabyte in float64."""


def row_by_row(of_rows: Callable[..., Floats], *tables: Numbers) -> Floats:
    """What `of_rows` finds, [samples], in portions of rows; to the last digit what it finds in all at once.

    Args:
        of_rows: from the rows of each table to one number a row.
        tables: the first [samples, classes], the others [samples, ...].
    """
    count, step = len(tables[0]), max(1, _VALUES // max(1, tables[0].shape[1]))
    return np.concatenate([of_rows(*(each[at : at + step] for each in tables)) for at in range(0, count, step)])
