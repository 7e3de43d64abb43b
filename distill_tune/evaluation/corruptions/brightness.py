"""More light than the camera was set for."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images, top
from distill_tune.registry import CORRUPTIONS


@CORRUPTIONS.register
class Brightness(Corruption):
    """Adds 15, 30, 45 % of the range to each pixel, clipped at the top."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, brighter; nothing is random."""
        return as_images(inputs.astype(np.float32) + 0.15 * severity * top(inputs), inputs)
