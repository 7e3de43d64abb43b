"""Numbers that nobody wrote down."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.registry import CORRUPTIONS

SHARES = (0.1, 0.25, 0.5)


@CORRUPTIONS.register
class Missing(Corruption):
    """Puts 0, the mean of the training split, in place of 10, 25, 50 % of the numbers."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` with holes; those of a lower severity are among those of a higher one."""
        missing = np.random.default_rng(seed).random(inputs.shape) < SHARES[severity - 1]
        return np.where(missing, inputs.dtype.type(0), inputs)
