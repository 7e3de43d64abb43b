"""Motion blur: the camera moved during the exposure (MNIST-C and CIFAR-10-C)."""

from itertools import product
from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images
from distill_tune.registry import CORRUPTIONS

PART_OF_SIDE = 0.12
DIRECTIONS = 8
STEPS = 9
"""Points along the path that are averaged."""


@CORRUPTIONS.register
class Motion(Corruption):
    """Averages each image along a straight path of 12, 24, 36 % of its sides, in one of eight directions."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` in motion; each image's direction is the same at every severity."""
        directions = np.random.default_rng(seed).integers(DIRECTIONS, size=len(inputs))
        length = PART_OF_SIDE * severity * np.array(inputs.shape[2:])
        blurred = np.zeros(inputs.shape, dtype=np.float32)
        for number in range(DIRECTIONS):
            chosen, angle = directions == number, np.pi * number / DIRECTIONS
            blurred[chosen] = _averaged(inputs[chosen], length * (np.sin(angle), np.cos(angle)))
        return as_images(blurred, inputs)


def _averaged(images: Array, way: Array) -> Array:
    """float32: the mean of each image moved to evenly spaced points on `way`, with zeros around it."""
    height, width = images.shape[2:]
    reach = int(np.abs(way).max() / 2) + 2
    padded = np.pad(images.astype(np.float32), [(0, 0), (0, 0), (reach, reach), (reach, reach)])
    total = np.zeros(images.shape, dtype=np.float32)
    for (down, right), weight in _taps(way).items():
        total += weight * padded[:, :, reach + down :, reach + right :][:, :, :height, :width]
    return total


def _taps(way: Array) -> dict[tuple[int, int], np.float32]:
    """Weights by offset in whole pixels: bilinear at each point on the way, which is centred on the image."""
    taps: dict[tuple[int, int], np.float32] = {}
    for down, right in np.outer(np.linspace(-0.5, 0.5, STEPS), way):
        for row, column in product(*({int(np.floor(at)), int(np.floor(at)) + 1} for at in (down, right))):
            weight = (1 - abs(down - row)) * (1 - abs(right - column)) / STEPS
            taps[row, column] = np.float32(taps.get((row, column), 0) + weight)
    return taps
