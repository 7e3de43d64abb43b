"""What every corruption is."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distill_tune.registry import Options

SEVERITIES = (1, 2, 3)

Array = NDArray[Any]


class Corruption(Options):
    """A way to worsen inputs; with the same seed, a higher severity does more of the same."""

    for_images: ClassVar[bool] = False
    for_tables: ClassVar[bool] = False

    @abstractmethod
    def apply(self, inputs: Array, severity: int, seed: int) -> Array:
        """A worse copy of `inputs`, with its shape and dtype.

        Args:
            inputs: uint8 images [samples, channels, height, width], which keep their range from 0 to the
                largest value that there is, or float rows [samples, features] with mean 0 and standard
                deviation 1.
            severity: 1, 2 or 3.
            seed: Of what is random.
        """


def top(images: Array) -> int:
    """The largest value of the images: 255 for most, 16 for scikit-learn's digits."""
    return int(images.max(initial=0))


def as_images(values: Array, like: Array) -> Array:
    """Float `values` rounded into the range and the dtype of the images `like`."""
    return np.clip(np.rint(values), 0, top(like)).astype(like.dtype)
