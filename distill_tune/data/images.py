"""Arrays that are meant to be images, converted to the layout and type in which images are stored."""

from typing import Any

import numpy as np
import numpy.typing as npt

from distill_tune.errors import DataError

_USUAL = (1, 3)
"""Numbers of channels of grey and of colour images."""


def as_images(array: npt.NDArray[Any], where: str) -> tuple[npt.NDArray[np.uint8], str | None]:
    """Images as uint8 [n, channels, height, width], and a note on the channels if needed.

    Accepts [n, h, w], and 4-D with the channels first or last: the axis of size 1 or 3 (the first, if both are), else
    the smaller one.

    Raises:
        DataError: not 3-D or 4-D, either axis may be the channels, or a value is not an integer from 0 to 255.
    """
    if array.ndim not in (3, 4):
        raise DataError(
            f"{where}: images must be [n, h, w] or [n, channels, h, w], but are {list(array.shape)}; reshape them."
        )
    array = as_bytes(array, where)
    if array.ndim == 3:
        return array[:, None], None
    first, last = array.shape[1], array.shape[3]
    if first in _USUAL:
        shape = f"{first} of {array.shape[2]} x {last} pixels"
        return array, f"channels are first in {where}, but might be last: {shape}" if last in _USUAL else None
    if last in _USUAL:
        return channels_first(array), f"channels moved from last to first in {where}"
    if first == last:
        raise DataError(
            f"{where}: images {list(array.shape)} have {first} channels either first or last, and nothing tells which; "
            "pad them with np.pad to more pixels than channels, or read them by a source of your own."
        )
    images = array if first < last else channels_first(array)
    channels, height, width = images.shape[1:]
    which = "first" if first < last else "last"
    return images, f"channels are {which} in {where}, where there are fewer: {channels} of {height} x {width} pixels"


def said_of_layout(images: npt.NDArray[np.uint8], where: str) -> tuple[str, ...]:
    """A note on images [n, channels, height, width] that look as if their channels were last."""
    _, channels, height, width = images.shape
    if channels in _USUAL or width not in _USUAL:
        return ()
    return (
        f"{where}: images are read as {channels} channels of {height} x {width} pixels; if the channels are last, "
        "return inputs.transpose(0, 3, 1, 2)",
    )


def channels_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[n, h, w, channels] as [n, channels, h, w]."""
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2))


def as_bytes(array: npt.NDArray[Any], where: str) -> npt.NDArray[np.uint8]:
    """`array` as uint8, without changing any value.

    Raises:
        DataError: a value is not an integer from 0 to 255.
    """
    if array.dtype == np.uint8:
        return array
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise DataError(f"{where}: images must be integers from 0 to 255 (uint8), but are {array.dtype}; scale them.")
    fits = (array >= 0) & (array <= 255) & (array == np.floor(array))
    if not fits.all():
        value = array[~fits].ravel()[0]
        raise DataError(f"{where}: images must be integers from 0 to 255 (uint8), but one has {value}; scale them.")
    return array.astype(np.uint8)
