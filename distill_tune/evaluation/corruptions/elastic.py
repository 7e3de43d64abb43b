"""Elastic deformation: a trembling hand, a creased cloth.

Simard, Steinkraus, Platt, ICDAR 2003; one of CIFAR-10-C's corruptions. Every pixel is displaced by a random field,
smoothed so that neighbours move alike.
"""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.evaluation.corruptions._resampling import warped
from distill_tune.registry import CORRUPTIONS

PART_OF_SIDE = 0.03
"""Standard deviation of the displacement on each axis, as a fraction of the side."""
GRAIN = 0.12
"""Standard deviation of the smoothing, as a fraction of the side."""


@CORRUPTIONS.register
class Elastic(Corruption):
    """Displaces pixels by a smooth random field with a deviation of 3, 6, 9 % of the sides."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, deformed; a higher severity is the same field, stronger."""
        from scipy.ndimage import gaussian_filter

        sides = np.array(inputs.shape[2:], dtype=np.float32)
        field = np.random.default_rng(seed).standard_normal((2, len(inputs), *inputs.shape[2:]), dtype=np.float32)
        smooth = gaussian_filter(field, (0, 0, *(GRAIN * sides)), mode="reflect")
        smooth *= PART_OF_SIDE * severity / np.maximum(smooth.std((2, 3), keepdims=True), 1e-6)
        down, right = (part * side for part, side in zip(smooth, sides, strict=True))
        return warped(inputs, lambda i, rows, columns: (rows + down[i], columns + right[i]))
