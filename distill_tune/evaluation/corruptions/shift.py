"""Shift: the object is not where it was expected."""

from itertools import product
from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images
from distill_tune.registry import CORRUPTIONS

PART_OF_SIDE = 0.04


@CORRUPTIONS.register
class Shift(Corruption):
    """Moves each image along a diagonal by 4, 8, 12 % of its sides, with subpixel precision, padded with 0."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, moved."""
        from scipy.ndimage import shift

        directions = np.random.default_rng(seed).integers(4, size=len(inputs))
        moved = np.zeros(inputs.shape, dtype=np.float32)
        distance = PART_OF_SIDE * severity * np.array(inputs.shape[2:])
        for number, signs in enumerate(product((-1, 1), repeat=2)):
            chosen = directions == number
            moved[chosen] = shift(
                inputs[chosen].astype(np.float32), (0, 0, *(distance * signs)), order=1, mode="grid-constant"
            )
        return as_images(moved, inputs)
