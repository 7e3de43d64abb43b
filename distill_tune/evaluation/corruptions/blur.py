"""Gaussian blur: a camera out of focus."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images
from distill_tune.registry import CORRUPTIONS

WIDTHS = (0.15, 0.22, 0.30)
"""Standard deviations as parts of the square root of the side: 0.8, 1.2 and 1.6 pixels at a side of 28."""


@CORRUPTIONS.register
class Blur(Corruption):
    """Averages each pixel with its neighbours."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` blurred; nothing is random."""
        from scipy.ndimage import gaussian_filter

        width = WIDTHS[severity - 1] * min(inputs.shape[2:]) ** 0.5
        return as_images(gaussian_filter(inputs.astype(np.float32), (0, 0, width, width)), inputs)
