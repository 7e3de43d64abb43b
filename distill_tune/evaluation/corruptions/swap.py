"""Numbers that belong to another row: records were mixed up.

The corruption by which SCARF learns (Bahri et al. 2022, https://arxiv.org/abs/2106.15147), here at examination.
"""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.registry import CORRUPTIONS

SHARES = (0.1, 0.2, 0.4)


@CORRUPTIONS.register
class Swap(Corruption):
    """Puts the same column of another row in place of 10, 20, 40 % of the numbers."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, mixed up; the numbers of a lower severity are among those of a higher one."""
        random = np.random.default_rng(seed)
        swapped = random.random(inputs.shape) < SHARES[severity - 1]
        donors = random.integers(max(1, len(inputs)), size=inputs.shape)
        return np.where(swapped, np.take_along_axis(inputs, donors, axis=0), inputs)
