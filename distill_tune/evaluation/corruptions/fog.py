"""Fog: uneven haze between object and camera.

As in CIFAR-10-C and MNIST-C, the haze is a plasma fractal, here a sum of smooth random fields, each with half the grain
and half the strength of the previous one.
"""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images, top
from distill_tune.registry import CORRUPTIONS

DENSITIES = (0.3, 0.5, 0.7)
GRAINS = (2, 4, 8)
"""Cells of each random field per side."""


@CORRUPTIONS.register
class Fog(Corruption):
    """Replaces up to 30, 50, 70 % of each pixel by white, in proportion to the haze there."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` in haze; a higher severity is the same haze, denser."""
        random = np.random.default_rng(seed)
        fields = [0.5**i * _smooth(random, len(inputs), cells, inputs.shape[2:]) for i, cells in enumerate(GRAINS)]
        thickness = DENSITIES[severity - 1] * np.sum(fields, axis=0) / sum(0.5**i for i in range(len(GRAINS)))
        return as_images(inputs + thickness[:, None] * (top(inputs) - inputs.astype(np.float32)), inputs)


def _smooth(random: np.random.Generator, count: int, cells: int, shape: tuple[int, ...]) -> Array:
    """float32 [count, height, width] in [0, 1]: random numbers at the corners of cells, bilinear between them."""
    corners = random.random((count, cells + 1, cells + 1), dtype=np.float32)
    down, right = (_hat(side, cells) for side in shape)
    field: Array = np.einsum("hi,nij,wj->nhw", down, corners, right, optimize=True)
    return field


def _hat(side: int, cells: int) -> Array:
    """float32 [side, cells + 1]: the weight of each corner at each pixel of one axis."""
    places = np.linspace(0, cells, side)
    weights: Array = np.clip(1 - np.abs(places[:, None] - np.arange(cells + 1)), 0, None)
    return weights.astype(np.float32)
