"""Pictures are turned upright as their metadata say, even if these are odd; unreadable metadata are refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps, TiffImagePlugin, TiffTags
from source_files import random_images

from distill_tune.data.image_files import decoded, kinds_of
from distill_tune.errors import DataError

SHORT, TEXT = 3, 2
ORIENTATION, X_RESOLUTION, XMP = 0x0112, 0x011A, 700
ODD_EXIF = (
    b"Exif\0\0MM\0\x2a"
    + struct.pack(">IH", 8, 2)
    + struct.pack(">HHI4s", ORIENTATION, SHORT, 1, b"\0\6\0\0")
    + struct.pack(">HHI4s", X_RESOLUTION, TEXT, 3, b"72\0\0")  # a fraction by the standard
    + struct.pack(">I", 0)
)


def picture() -> Image.Image:
    return Image.fromarray(random_images(6, 5))


def upright(path: Path) -> np.ndarray:
    """The picture as Pillow turns it."""
    with path.open("rb") as file, Image.open(file) as image:  # by path, Pillow 13.0 leaves a mapped TIFF as it lies
        return np.asarray(ImageOps.exif_transpose(image).convert("L"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(10))
def test_each_orientation_is_turned_as_pillow_turns_it(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif, path = Image.Exif(), tmp_path / f"1.{suffix}"
    exif[ORIENTATION] = orientation
    picture().save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {}))
    expected = upright(path)
    assert kinds_of([path])[0][:2] == expected.shape
    np.testing.assert_array_equal(decoded([path], (1, *expected.shape))[0, 0], expected)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_picture_is_turned_though_another_tag_is_odd(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"1.{suffix}"
    picture().save(path, exif=ODD_EXIF)
    with pytest.raises((TypeError, AttributeError)):
        upright(path)
    with Image.open(path) as image:
        expected = np.asarray(image.transpose(Image.Transpose.ROTATE_270))
    np.testing.assert_array_equal(decoded([path], (1, 5, 6))[0, 0], expected)


def test_a_picture_whose_metadata_pillow_cannot_read_is_refused_by_its_name(tmp_path: Path) -> None:
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[XMP] = TiffTags.LONG
    tags[XMP] = 5
    picture().save(tmp_path / "1.tif", tiffinfo=tags)
    for read in (kinds_of, lambda paths: decoded(paths, (1, 6, 5))):
        with pytest.raises(DataError, match=r"1\.tif: is no image, or damaged \(TypeError: .*\); write it again, or"):
            read([tmp_path / "1.tif"])
