"""Missing values: nobody recorded them."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.layout import Layout
from distill_tune.registry import CORRUPTIONS

SHARES = (0.1, 0.25, 0.5)


@CORRUPTIONS.register
class Missing(Corruption):
    """Removes 10, 25, 50 % of the values, encoded as the encoder encodes gaps.

    A number becomes 0, the mean of the training split, and is marked if training had gaps; a category becomes its
    missing value, or none at all.
    """

    for_tables: ClassVar[bool] = True

    def on_rows(self, inputs: Array, severity: int, seed: int, layout: Layout) -> Array:
        """`inputs` with gaps; a higher severity has the same gaps and more."""
        missing = np.random.default_rng(seed).random((len(inputs), layout.columns)) < SHARES[severity - 1]
        return np.where(missing[:, layout.column_of], layout.missing.astype(inputs.dtype), inputs)
