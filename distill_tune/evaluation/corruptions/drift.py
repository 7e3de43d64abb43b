"""Scale drift: a different instrument, a different unit, wear."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, with_numbers
from distill_tune.layout import Layout
from distill_tune.registry import CORRUPTIONS

PER_SEVERITY = 0.2


@CORRUPTIONS.register
class Drift(Corruption):
    """Scales and shifts each column of numbers as a whole by normal draws with deviation 0.2, 0.4, 0.6."""

    for_tables: ClassVar[bool] = True
    of_numbers: ClassVar[bool] = True

    def on_rows(self, inputs: Array, severity: int, seed: int, layout: Layout) -> Array:
        """`inputs`, drifted: x' = x * exp(s) + t with s and t drawn per column, in deviations of the column."""
        random = np.random.default_rng(seed)
        scale, offset = PER_SEVERITY * severity * random.standard_normal((2, layout.numbers))
        return with_numbers(inputs, inputs[:, : layout.numbers] * np.exp(scale) + offset, layout)
