"""Fashion-MNIST: 70,000 grey 28 x 28 images of ten kinds of clothing.

Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
2017, https://arxiv.org/abs/1708.07747
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.checksum import sha256_of
from distill_tune.data.files import check_is_no_uri, existing
from distill_tune.data.sources._base import Source
from distill_tune.data.sources._idx import read_idx
from distill_tune.errors import DataError, one_line
from distill_tune.paths import exists, expanded, is_folder
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
PLACES = ("/usr/share/datasets/fashion-mnist", "data/fashion-mnist", "data/FashionMNIST/raw")
"""Where Debian's package, `make data` and torchvision's download put the files."""
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
CURE = (
    "`apt-get install dataset-fashion-mnist`, `make data`, `pip install torchvision` (then it is "
    "downloaded), or data.path = a folder with its four IDX files"
)


@DATA_SOURCES.register
class FashionMnist(Source):
    """uint8 [70000, 1, 28, 28]; the last 10,000 are its own test split."""

    def load(self, config: DataConfig) -> RawImages:
        """The images and labels of all four files, training rows first."""
        import numpy as np

        from distill_tune.data.raw import RawImages

        paths = find_files(config.path)
        images = [read_idx(paths[0], 3), read_idx(paths[2], 3)]
        labels = [read_idx(paths[1], 1), read_idx(paths[3], 1)]
        for i, (rows, ids) in enumerate(zip(images, labels, strict=True)):
            if len(rows) != len(ids):
                raise DataError(
                    f"{paths[2 * i]}: has {len(rows):,} images, but {paths[2 * i + 1]} {len(ids):,} labels; get both "
                    "again."
                )
            if not len(rows):
                raise DataError(f"{paths[2 * i]}: has no images; get it and {paths[2 * i + 1]} again.")
        if images[0].shape[1:] != images[1].shape[1:]:
            raise DataError(f"{paths[0]} and {paths[2]}: hold images of different sizes; get them again.")
        return RawImages(
            inputs=np.concatenate(images)[:, None],
            labels=np.concatenate(labels).astype(np.int64),
            classes=CLASSES,
            where=str(paths[0].parent),
            own_test=len(images[1]),
        )

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the four files."""
        return sha256_of(*find_files(config.path))


def find_files(folder: str | None) -> list[Path]:
    """The four files, gzipped or not: in `folder` or, if None, in one of the known places, else downloaded.

    Raises:
        DataError: they cannot be found or downloaded.
    """
    if folder is not None:
        check_is_no_uri(folder, "the folder of Fashion-MNIST's IDX files")
        if is_folder(expanded(folder)):
            return _in_folder(expanded(folder))
        raise DataError(f"{folder:.200}: no such folder; data.path must name the folder of Fashion-MNIST's IDX files.")
    whole = (Path(place) for place in PLACES if all(_files(Path(place))))  # a download may have been interrupted
    return _in_folder(next(whole, None) or _downloaded())


def _in_folder(folder: Path) -> list[Path]:
    found = []
    for name, path in zip(FILES, _files(folder), strict=True):
        if path is None:
            raise DataError(f"{folder}: has no {name} or {name}.gz; get Fashion-MNIST with {CURE}.")
        found.append(existing(path, "an IDX file"))
    return found


def _files(folder: Path) -> list[Path | None]:
    """Each of the four files, gzipped or not; None if missing."""
    places = [(folder / f"{name}.gz", folder / name) for name in FILES]
    return [next((path for path in both if exists(path)), None) for both in places]


def _downloaded() -> Path:
    try:
        from torchvision.datasets import FashionMNIST
    except ImportError as error:
        raise DataError(f"Fashion-MNIST is not on this machine; get it with {CURE}.") from error
    try:
        FashionMNIST("data", download=True)
    except (OSError, RuntimeError) as error:
        raise DataError(f"Fashion-MNIST could not be downloaded ({one_line(error)}); get it with {CURE}.") from error
    return Path("data/FashionMNIST/raw")
