"""The base class of all corruptions, and helpers."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from distill_tune.layout import Layout
from distill_tune.registry import Options

SEVERITIES = (1, 2, 3)

Array = NDArray[Any]


class Corruption(Options):
    """A way to corrupt inputs; with the same seed, a higher severity does more of the same."""

    for_images: ClassVar[bool] = False
    for_tables: ClassVar[bool] = False
    of_numbers: ClassVar[bool] = False
    """Whether it leaves a table's categories alone, and so does nothing if there are no numbers."""

    @classmethod
    def missing_methods(cls) -> list[str]:
        """The abstract methods, and `on_images` or `on_rows` if the corruption is for such inputs but lacks it."""
        needed = {
            "on_images": cls.for_images and cls.on_images is Corruption.on_images,
            "on_rows": cls.for_tables and cls.on_rows is Corruption.on_rows,
        }
        replaced = cls.apply is not Corruption.apply
        return super().missing_methods() + [name for name, lacks in needed.items() if lacks and not replaced]

    def apply(self, inputs: Array, severity: int, seed: int, layout: Layout | None = None) -> Array:
        """A corrupted copy of `inputs`, with the same shape and dtype.

        Args:
            inputs: uint8 images [samples, channels, height, width], which keep their range from 0 to their largest
                value, or float rows [samples, features] whose numbers have mean 0 and standard deviation 1.
            severity: 1, 2 or 3.
            seed: Seed of all randomness.
            layout: Layout of the rows; None if all features are numbers.
        """
        if inputs.ndim > 2:
            return self.on_images(inputs, severity, seed)
        return self.on_rows(inputs, severity, seed, layout or Layout.of_numbers(inputs.shape[1]))

    def on_images(self, inputs: Array, severity: int, seed: int) -> Array:
        """`apply` for images; every corruption that is for images defines it."""
        raise NotImplementedError

    def on_rows(self, inputs: Array, severity: int, seed: int, layout: Layout) -> Array:
        """`apply` for a table's rows; the results are rows that its encoder could have produced."""
        raise NotImplementedError


def with_numbers(inputs: Array, numbers: Array, layout: Layout) -> Array:
    """Rows with their numbers replaced; gaps, marks and categories stay as they are."""
    count = layout.numbers
    changed = np.where(layout.gaps(inputs), inputs[:, :count], numbers)
    return np.concatenate([changed, inputs[:, count:]], axis=1, dtype=inputs.dtype, casting="same_kind")


def top(images: Array) -> int:
    """The largest value of the images: 255 for most, 16 for scikit-learn's digits."""
    return int(images.max(initial=0))


def as_images(values: Array, like: Array) -> Array:
    """Float `values` rounded to the range and dtype of the images `like`."""
    return np.clip(np.rint(values), 0, top(like)).astype(like.dtype)
