"""Scale: the object is farther away (MNIST-C's "scale")."""

from typing import ClassVar

from distill_tune.evaluation.corruptions._base import Array, Corruption
from distill_tune.evaluation.corruptions._resampling import warped
from distill_tune.registry import CORRUPTIONS

SIZES = (0.9, 0.8, 0.7)


@CORRUPTIONS.register
class Scale(Corruption):
    """Shrinks each image about its centre to 90, 80, 70 % of its sides, padded with 0."""

    for_images: ClassVar[bool] = True

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`inputs`, smaller; nothing is random."""
        size = SIZES[severity - 1]
        return warped(inputs, lambda _, down, right: (down / size, right / size))
