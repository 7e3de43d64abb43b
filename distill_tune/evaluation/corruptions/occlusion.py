"""Occlusion: something stands in front of the object.

A grey square, as in DeVries and Taylor's cutout (https://arxiv.org/abs/1708.04552), but at test time.
"""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, top
from distill_tune.registry import CORRUPTIONS

SIDES = (0.25, 0.38, 0.5)


@CORRUPTIONS.register
class Occlusion(Corruption):
    """Hides a square of 25, 38, 50 % of the sides behind mid-grey, centred in the inner half of the image."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` with the square; a higher severity's square contains a lower one's."""
        centres = np.random.default_rng(seed).uniform(0.25, 0.75, size=(2, len(inputs), 1))
        rows, columns = (
            _covered(side, SIDES[severity - 1], centre) for side, centre in zip(inputs.shape[2:], centres, strict=True)
        )
        hidden = (rows[:, :, None] & columns[:, None, :])[:, None]
        return np.where(hidden, top(inputs) // 2, inputs).astype(inputs.dtype)


def _covered(side: int, part: float, centre: Array) -> Array:
    """[samples, side], bool: pixels whose middle is within half the square's side of its centre."""
    covered: Array = np.abs((np.arange(side) + 0.5) / side - centre) < part / 2
    return covered
