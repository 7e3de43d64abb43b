"""A stripe across the image (MNIST-C's "stripe", there of inverted columns)."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images, top
from distill_tune.registry import CORRUPTIONS

PART_OF_SIDE = 0.06


@CORRUPTIONS.register
class Stripe(Corruption):
    """Inverts a stripe of columns, 6, 12, 18 % of the width, at a random position per image."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` with the stripe; a higher severity's stripe contains a lower one's."""
        width = inputs.shape[3]
        middle = np.random.default_rng(seed).uniform(0.2, 0.8, size=(len(inputs), 1)) * width
        half, edges = PART_OF_SIDE * severity * width / 2, np.arange(width + 1)
        inside = np.diff(np.clip(edges, middle - half, middle + half))  # the fraction of each column that is covered
        covered = inside[:, None, None, :].astype(np.float32)
        return as_images(inputs + covered * (top(inputs) - 2 * inputs.astype(np.float32)), inputs)
