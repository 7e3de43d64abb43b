"""Swapped values: records were mixed up.

The corruption that SCARF trains with (Bahri et al. 2022, https://arxiv.org/abs/2106.15147), but at test time.
"""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.layout import Layout
from distill_tune.registry import CORRUPTIONS

SHARES = (0.1, 0.2, 0.4)


@CORRUPTIONS.register
class Swap(Corruption):
    """Replaces 10, 20, 40 % of the values by the same column of another row; a category's features move together."""

    for_tables: ClassVar[bool] = True

    def on_rows(self, inputs: Array, severity: int, seed: int, layout: Layout) -> Array:
        """`inputs`, mixed up; a higher severity swaps the same values and more."""
        random = np.random.default_rng(seed)
        shape = len(inputs), layout.columns
        swapped = random.random(shape)[:, layout.column_of] < SHARES[severity - 1]
        donors = random.integers(max(1, len(inputs)), size=shape)[:, layout.column_of]
        return np.where(swapped, np.take_along_axis(inputs, donors, axis=0), inputs)
