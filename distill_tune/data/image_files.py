"""Image files as arrays, decoded by Pillow in threads and brought to one size and number of channels.

Nothing heavy is imported at the top, because entries of `sources/` import this module.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from distill_tune.checksum import sha256_of
from distill_tune.errors import DataError, one_line

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

    from distill_tune.arrays import Array

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
"""How the names of image files end, in small or capital letters."""
MODES = {1: "L", 3: "RGB"}
"""By how many channels an image may have, what Pillow calls it."""
_GREY, _COLOURED = frozenset({"1", "L", "LA"}), frozenset({"CMYK", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"})
_SIDEWAYS = range(5, 9)
"""Values of EXIF's orientation of which the picture is upright when its sides are exchanged."""
_ORIENTATION = 0x0112
_HOW_IT_LIES = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Blocks before the pixels that may say an orientation, as Pillow calls them."""
_SIXTEEN_BITS = re.compile(";16[BLN]")
"""In how Pillow is about to read pixels of 16 bits a channel; of 16 bits a pixel no order of bytes is told."""
_MARGIN = 2
"""A JPEG is decoded at a smaller scale where that leaves so many times the size that is wanted."""

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


class Kind(NamedTuple):
    """What an image file holds, as its head says it."""

    height: int
    width: int
    """Both of the upright picture."""
    channels: int
    """1 of grey pictures, 3 of all others; transparency does not count."""
    is_several: bool
    """Whether it moves or has several pages, of which the first is read; a camera's further views do not count."""


def is_image(path: Path) -> bool:
    """Whether its name is that of an image file that is read here."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def files_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """All image files under a folder, and all others.

    They are in the order in which torchvision's `ImageFolder` has them: by folder, then by name. What is hidden by a
    dot in front of its name, such as a program's small copies, is none of them.

    Raises:
        DataError: a folder in it cannot be read.
    """
    images, others = list[Path](), list[Path]()
    for root, names in sorted(_walked(folder)):
        paths = [Path(root, name) for name in sorted(names) if not name.startswith(".")]
        images += [path for path in paths if is_image(path)]
        others += [path for path in paths if not is_image(path)]
    return images, others


def _walked(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each folder that is not hidden, once also where links lead around, and the names in it."""
    seen = set[str]()
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            seen.add(real)
            yield root, names


def digest_of(paths: Sequence[Path], root: Path) -> str:
    """SHA-256 of the names under `root` and the contents of all files.

    Raises:
        DataError: one cannot be read.
    """
    whole = hashlib.sha256()
    for path, digest in zip(paths, _each(_digest, paths), strict=True):
        whole.update(f"{path.relative_to(root)}\0{digest}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def kinds_of(paths: Sequence[Path]) -> list[Kind]:
    """What each file holds.

    Raises:
        DataError: one is no image, or has more than 8 bits a channel.
    """
    return _each(_kind, paths)


def decoded(paths: Sequence[Path], shape: tuple[int, ...]) -> Array:
    """The pictures, upright, as uint8 [n, channels, height, width].

    A picture of another size is scaled until it covers `shape`, and what stands over at two sides is cut off;
    transparency is dropped.

    Args:
        paths: of the files.
        shape: (channels, height, width).

    Raises:
        DataError: a file is no image, is damaged or has more than 8 bits a channel, or there is no room for all of
            them.
    """
    from distill_tune.data.spill import empty

    try:
        images = empty((len(paths), *shape), "uint8")
    except (MemoryError, OSError) as error:
        size = f"{len(paths):,} images of {' x '.join(map(str, shape))}"
        raise DataError(
            f"{paths[0].parent}: there is no room for {size} ({one_line(error)}); choose a smaller size, or another "
            "--storage."
        ) from error

    def fill(row: int) -> None:
        images[row] = _decoded(paths[row], shape)

    _each(fill, range(len(paths)))
    return images


def _each(work: Callable[[_Given], _Found], things: Sequence[_Given]) -> list[_Found]:
    """`work` on all, in order, in threads: decoding and hashing leave Python to others."""
    with ThreadPoolExecutor() as threads:
        return list(threads.map(work, things))


def _digest(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); mend that, or take it away.") from error


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be read ({error.strerror}); mend that, or take it away.") from error


def _kind(path: Path) -> Kind:
    with _opened(path) as image:
        width, height = image.size
        is_upright = _ORIENTATION in getattr(image, "tag_v2", ())  # of a TIFF's own tag Pillow has told the sides so
        if not is_upright and _says_how_it_lies(image) and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        is_several = getattr(image, "is_animated", False) and image.format != "MPO"
        return Kind(height, width, 1 if image.mode in _GREY else 3, is_several)


def _decoded(path: Path, shape: tuple[int, ...]) -> Array:
    import numpy as np
    from PIL import ImageOps
    from PIL.Image import Resampling

    channels, height, width = shape
    with _opened(path) as image:
        turned = _says_how_it_lies(image)
        image.draft(image.mode, (_MARGIN * max(height, width),) * 2)  # of a JPEG; nothing of other kinds
        upright = (ImageOps.exif_transpose(image) if turned else image).convert(MODES[channels])
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Resampling.BILINEAR)
    pixels: Array = np.asarray(upright).reshape(height, width, channels).transpose(2, 0, 1)
    return pixels


def _is_cut(image: ImageFile) -> bool:
    """Whether its channels are cut to 8 bits, as Pillow does with colours and alpha; the mode does not say so."""
    return any(
        _SIXTEEN_BITS.search(str(tile.args)) or (tile.codec_name.startswith("ppm") and _most(tile.args) > 255)
        for tile in image.tile
    )


def _most(args: object) -> int:
    """The largest value of a pixel in a PPM."""
    return int(args[-1]) if isinstance(args, tuple) else 255


def _says_how_it_lies(image: Image) -> bool:
    """Whether one of the blocks that may say so stands before the pixels; a PNG is decoded where it is asked itself."""
    return any(block in image.info for block in _HOW_IT_LIES)


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """An image whose pixels are still to be decoded; what Pillow raises in the block is said in one line.

    Raises:
        DataError: it is none, is damaged, or has more than 8 bits a channel, which Pillow would cut off.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Not by its path: Pillow 13.0 maps an uncompressed TIFF then, and gives other pixels where it lies on its side.
        with path.open("rb") as file, Image.open(file) as image:
            if image.mode not in _GREY | _COLOURED:
                mode = image.mode
                raise DataError(f"{path}: has pixels of Pillow's mode {mode}, but they must have 8 bits; convert it.")
            if _is_cut(image):
                raise DataError(f"{path}: has 16 bits a channel, but pixels must have 8; convert it.")
            yield image
    except (OSError, SyntaxError, ValueError, IndexError, struct.error, Image.DecompressionBombError) as error:
        reason = "of no kind that Pillow knows" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise DataError(f"{path}: is no image, or damaged ({reason}); write it again, or take it away.") from error
