"""Gaussian noise on every pixel or number."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images, top
from distill_tune.registry import CORRUPTIONS


@CORRUPTIONS.register
class Noise(Corruption):
    """Adds noise of 10, 20, 30 % of an image's range, or of 0.2, 0.4, 0.6 deviations of a table's numbers."""

    for_images: ClassVar[bool] = True
    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` plus noise."""
        noise = np.random.default_rng(seed).standard_normal(inputs.shape, dtype=np.float32)
        if inputs.ndim > 2:
            return as_images(inputs + 0.1 * severity * top(inputs) * noise, inputs)
        noisy: Array = inputs + 0.2 * severity * noise
        return noisy.astype(inputs.dtype)
