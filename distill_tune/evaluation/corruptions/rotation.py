"""Rotation: the object is tilted (MNIST-C's "rotate")."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.evaluation.corruptions._resampling import warped
from distill_tune.registry import CORRUPTIONS

DEGREES = (10, 20, 30)


@CORRUPTIONS.register
class Rotation(Corruption):
    """Rotates each image by 10, 20, 30 degrees, clockwise or counterclockwise at random."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, rotated; each image's direction is the same at every severity."""
        sides = np.random.default_rng(seed).choice([-1, 1], size=len(inputs))
        angles = np.radians(DEGREES[severity - 1] * sides)
        cosines, sines = np.cos(angles), np.sin(angles)
        return warped(
            inputs,
            lambda i, down, right: (cosines[i] * down - sines[i] * right, sines[i] * down + cosines[i] * right),
        )
