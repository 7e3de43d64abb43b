"""Resampling of images at given coordinates."""

from collections.abc import Callable

import numpy as np

from distill_tune.evaluation.corruptions._base import Array, as_images

Places = tuple[Array, Array]


def warped(inputs: Array, place: Callable[[int, Array, Array], Places]) -> Array:
    """Each image sampled at `place(number, rows, columns)`, bilinearly, with zeros around the image.

    `rows` and `columns`, and the two that `place` returns, are float [height, width]: coordinates in pixels from the
    middle of the image.
    """
    from scipy.ndimage import map_coordinates

    result = np.zeros(inputs.shape, dtype=np.float32)
    middle = [(side - 1) / 2 for side in inputs.shape[2:]]
    rows, columns = np.meshgrid(
        *(np.arange(side) - half for side, half in zip(inputs.shape[2:], middle, strict=True)), indexing="ij"
    )
    for number, image in enumerate(inputs):
        places = [at + half for at, half in zip(place(number, rows, columns), middle, strict=True)]
        for channel, pixels in enumerate(image):
            map_coordinates(pixels, places, output=result[number, channel], order=1, mode="grid-constant")
    return as_images(result, inputs)
