"""Too few pixels: an enlarged image (CIFAR-10-C's "pixelate")."""

from typing import ClassVar

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, Corruption, as_images
from distill_tune.registry import CORRUPTIONS

LEFT = (0.75, 0.55, 0.4)
"""Share of the pixels that remains on each side."""


@CORRUPTIONS.register
class Pixelate(Corruption):
    """Averages over blocks, per side 75, 55, 40 % as many as there are pixels."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs` in blocks; nothing is random."""
        down, right = (_blocks(side, max(1, round(LEFT[severity - 1] * side))) for side in inputs.shape[2:])
        return as_images(np.einsum("gh,nchw,vw->ncgv", down, inputs.astype(np.float32), right, optimize=True), inputs)


def _blocks(side: int, count: int) -> Array:
    """float32 [side, side]: each pixel as the mean over its block; one that straddles two takes a part of each."""
    edges, pixels = np.linspace(0, side, count + 1), np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    covered = np.clip(covered, 0, None)  # [blocks, pixels]: the fraction of each pixel in each block
    blocks: Array = covered.T @ covered * count / side
    return blocks.astype(np.float32)
