"""Image files as arrays, decoded by Pillow in threads and converted to one size and number of channels.

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
"""Suffixes of image files, in lower or upper case."""
MODES = {1: "L", 3: "RGB"}
"""Number of channels to Pillow's mode."""
_GREY, _COLOURED = frozenset({"1", "L", "LA"}), frozenset({"CMYK", "P", "PA", "RGB", "RGBA", "RGBX", "YCbCr"})
_SIDEWAYS = range(5, 9)
"""Values of EXIF's orientation for which width and height are swapped."""
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Values of EXIF's orientation to the name of Pillow's operation that makes the picture upright."""
_HOW_IT_LIES = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Pillow's names of the metadata blocks before the pixels that may hold an orientation."""
_SIXTEEN_BITS = re.compile(";16[BLN]")
"""Matches Pillow's raw modes of 16 bits per channel; those of 16 bits per pixel have no byte order."""
_OF_PILLOW = (OSError, SyntaxError, ValueError, IndexError, TypeError, AttributeError)
"""What Pillow raises for damaged files; the last two if a tag of the metadata holds a value of another type."""
_MARGIN = 2
"""A JPEG is decoded at a smaller scale if that is still this many times the wanted size."""

_Given = TypeVar("_Given")
_Found = TypeVar("_Found")


class Kind(NamedTuple):
    """What an image file holds, according to its header."""

    height: int
    width: int
    """Height and width are those of the upright picture."""
    channels: int
    """1 for grey pictures, 3 for all others; transparency does not count."""
    is_several: bool
    """Whether it has several frames or pages, only the first of which is read; a camera's extra views do not count."""


def is_image(path: Path) -> bool:
    """Whether a path has the name of an image file that can be read here."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def skipped(first: str, count: int) -> str:
    """The note on a folder's files that are not `is_image`."""
    return f"{first} does not have an image file name and is skipped, {count:,} in all"


def files_in(folder: Path) -> tuple[list[Path], list[Path]]:
    """All image files under a folder, and all other files.

    They are in the order of torchvision's `ImageFolder`: by folder, then by name. Hidden files and folders, whose names
    begin with a dot, such as a program's thumbnails, are left out.

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
    """Each folder that is not hidden, with the names in it; only once even if links form a cycle."""
    seen = set[str]()
    for root, folders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        real = os.path.realpath(root)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            seen.add(real)
            yield root, names


def digest_of(paths: Sequence[Path], root: Path) -> str:
    """SHA-256 of the names (relative to `root`) and the contents of all files.

    Raises:
        DataError: a file cannot be read.
    """
    whole = hashlib.sha256()
    for path, digest in zip(paths, _each(_digest, paths), strict=True):
        whole.update(f"{path.relative_to(root)}\0{digest}\n".encode(errors="surrogateescape"))
    return whole.hexdigest()


def kinds_of(paths: Sequence[Path]) -> list[Kind]:
    """What each file holds.

    Raises:
        DataError: a file is not an image, or has more than 8 bits per channel.
    """
    return _each(_kind, paths)


def decoded(paths: Sequence[Path], shape: tuple[int, ...]) -> Array:
    """The pictures, upright, as uint8 [n, channels, height, width].

    A picture of another size is scaled to cover `shape`, and the excess is cropped evenly on two sides; transparency is
    dropped.

    Args:
        paths: of the files.
        shape: (channels, height, width).

    Raises:
        DataError: a file is not an image, is damaged or has more than 8 bits per channel, or there is no room for all
            of them.
    """
    from distill_tune.data.spill import empty, is_placed

    try:
        images = empty((len(paths), *shape), "uint8")
    except (MemoryError, OSError) as error:
        size = f"{len(paths):,} images of {' x '.join(map(str, shape))}"
        fewer = "give fewer at a time, or set TMPDIR to a folder of a larger disk"
        way_out = "choose a smaller size, or another --storage" if is_placed() else fewer
        raise DataError(f"{paths[0].parent}: there is no room for {size} ({one_line(error)}); {way_out}.") from error

    def fill(row: int) -> None:
        images[row] = _decoded(paths[row], shape)

    _each(fill, range(len(paths)))
    return images


def _each(work: Callable[[_Given], _Found], things: Sequence[_Given]) -> list[_Found]:
    """The results of `work` on all things, in order, run in threads: decoding and hashing release the GIL."""
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
        is_upright = _ORIENTATION in getattr(image, "tag_v2", ())  # a TIFF's own tag, which Pillow's size respects
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
        image.draft(image.mode, (_MARGIN * max(height, width),) * 2)  # only affects JPEG
        upright = (_turned(image) if turned else image).convert(MODES[channels])
    if upright.size != (width, height):
        upright = ImageOps.fit(upright, (width, height), Resampling.BILINEAR)
    pixels: Array = np.asarray(upright).reshape(height, width, channels).transpose(2, 0, 1)
    return pixels


def _turned(image: Image) -> Image:
    """The picture upright; unlike `ImageOps.exif_transpose`, it writes no metadata, which fails if a tag is odd."""
    from PIL.Image import Transpose

    image.load()  # of a TIFF this turns it already
    operation = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    return image if operation is None else image.transpose(Transpose[operation])


def _is_cut(image: ImageFile) -> bool:
    """Whether Pillow would truncate the channels to 8 bits, as for colours and alpha; the mode does not show it."""
    return any(
        _SIXTEEN_BITS.search(str(tile.args)) or (tile.codec_name.startswith("ppm") and _most(tile.args) > 255)
        for tile in image.tile
    )


def _most(args: object) -> int:
    """The largest pixel value that a PPM file declares."""
    return int(args[-1]) if isinstance(args, tuple) else 255


def _says_how_it_lies(image: Image) -> bool:
    """Whether a metadata block before the pixels may hold an orientation; asking a PNG for it would decode it."""
    return any(block in image.info for block in _HOW_IT_LIES)


@contextmanager
def _opened(path: Path) -> Iterator[Image]:
    """An opened image, not decoded yet; what Pillow raises in the block becomes a one-line error.

    Raises:
        DataError: it is not an image, is damaged, or has more than 8 bits per channel, which Pillow would truncate.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        # Not by path: Pillow 13.0 would map an uncompressed TIFF, and return other pixels if it lies on its side.
        with path.open("rb") as file, Image.open(file) as image:
            if image.mode not in _GREY | _COLOURED:
                mode = image.mode
                raise DataError(f"{path}: has pixels of Pillow's mode {mode}, but they must have 8 bits; convert it.")
            if _is_cut(image):
                raise DataError(f"{path}: has 16 bits a channel, but pixels must have 8; convert it.")
            yield image
    except (*_OF_PILLOW, struct.error, Image.DecompressionBombError) as error:
        reason = "of no kind that Pillow knows" if isinstance(error, UnidentifiedImageError) else one_line(error)
        raise DataError(f"{path}: is no image, or damaged ({reason}); write it again, or take it away.") from error
