"""Scale drift: another instrument, another unit, wear."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.registry import CORRUPTIONS

PER_SEVERITY = 0.2


@CORRUPTIONS.register
class Drift(Corruption):
    """Scales and shifts each column as a whole by normal numbers of deviation 0.2, 0.4, 0.6."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, drifted: x' = x * exp(s) + t with s and t of the column's own, in deviations of the column."""
        scale, offset = PER_SEVERITY * severity * np.random.default_rng(seed).standard_normal((2, inputs.shape[1]))
        drifted: Array = inputs * np.exp(scale) + offset
        return drifted.astype(inputs.dtype)
