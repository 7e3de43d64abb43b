"""Salt and pepper: dead and hot pixels (impulse noise in MNIST-C and CIFAR-10-C)."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, top
from distill_tune.registry import CORRUPTIONS

SHARES = (0.05, 0.12, 0.25)


@CORRUPTIONS.register
class Impulse(Corruption):
    """Makes 5, 12, 25 % of the pixels black or white, independently per channel."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` with pixels lost; a higher severity loses the same pixels and more."""
        random = np.random.default_rng(seed)
        lost = random.random(inputs.shape, dtype=np.float32) < SHARES[severity - 1]
        salt = random.integers(2, size=inputs.shape, dtype=np.uint8) * top(inputs)
        return np.where(lost, salt, inputs).astype(inputs.dtype)
