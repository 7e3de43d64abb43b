"""Less contrast: fog, or a faded print."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images
from distill_tune.registry import CORRUPTIONS

LEFT = (0.6, 0.4, 0.2)
"""Share of the contrast that remains at each severity."""


@CORRUPTIONS.register
class Contrast(Corruption):
    """Moves each pixel towards the mean of its image."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` with less contrast; nothing is random."""
        mean = inputs.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float32)
        return as_images(mean + LEFT[severity - 1] * (inputs - mean), inputs)
