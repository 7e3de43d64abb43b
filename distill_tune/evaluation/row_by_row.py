"""Computes per-sample values from logits in portions of rows, to save memory.

A float64 matrix is twice the size of a float32 one, and a softmax makes several.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Numbers = NDArray[Any]

_VALUES = 1 << 16
"""Values in the logits of one portion: half a megabyte in float64."""


def row_by_row(of_rows: Callable[..., Floats], *tables: Numbers) -> Floats:
    """The result of `of_rows`, [samples], computed in portions; to the last digit the same as on all rows at once.

    Args:
        of_rows: Maps rows of each table to one number per row.
        tables: The first is [samples, classes], the others are [samples, ...].
    """
    count, step = len(tables[0]), max(1, _VALUES // max(1, tables[0].shape[1]))
    return np.concatenate([of_rows(*(each[at : at + step] for each in tables)) for at in range(0, count, step)])
