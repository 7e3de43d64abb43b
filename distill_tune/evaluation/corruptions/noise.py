"""Gaussian noise on every pixel or number."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images, top, with_numbers
from distill_tune.layout import Layout
from distill_tune.registry import CORRUPTIONS


@CORRUPTIONS.register
class Noise(Corruption):
    """Adds noise of deviation 10, 20, 30 % of an image's range, or 0.2, 0.4, 0.6 of a table column's deviation."""

    for_images: ClassVar[bool] = True
    for_tables: ClassVar[bool] = True
    of_numbers: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` plus noise."""
        return as_images(inputs + 0.1 * severity * top(inputs) * _normal(seed, inputs.shape), inputs)

    def on_rows(self, inputs: Array, severity: int, seed: int, layout: Layout) -> Array:
        """`inputs` with noise on the numbers."""
        numbers = inputs[:, : layout.numbers]
        return with_numbers(inputs, numbers + 0.2 * severity * _normal(seed, numbers.shape), layout)


def _normal(seed: int, shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
