"""Handwritten digits: 1,797 images of 8 x 8 pixels, bundled with scikit-learn.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (its test part), 1998,
https://doi.org/10.24432/C50P49
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from distill_tune.checksum import sha256_of
from distill_tune.data.sources._base import Source
from distill_tune.registry import DATA_SOURCES

if TYPE_CHECKING:
    from distill_tune.config.sections import DataConfig
    from distill_tune.data.raw import RawImages


@DATA_SOURCES.register
class Digits(Source):
    """uint8 [1797, 1, 8, 8], values 0 to 16, ten classes."""

    def load(self, config: DataConfig) -> RawImages:
        """All digits, as from `sklearn.datasets.load_digits`, which takes a second to import."""
        import numpy as np

        from distill_tune.data.raw import RawImages

        rows = np.loadtxt(_bundled(), delimiter=",", dtype=np.int64)
        return RawImages(
            inputs=rows[:, :-1].astype(np.uint8).reshape(-1, 1, 8, 8),
            labels=rows[:, -1],
            classes=tuple("0123456789"),
            where="digits",
        )

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the bundled file."""
        return sha256_of(_bundled())


def _bundled() -> Path:
    """The file in scikit-learn's folder, with rows of 64 pixels and the class."""
    spec = find_spec("sklearn")
    assert spec, "scikit-learn is a dependency"
    return Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz"
