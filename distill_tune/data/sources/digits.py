"""Handwritten digits: 1,797 images of 8 x 8, bundled with scikit-learn.

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
    """uint8 [1797, 1, 8, 8] from 0 to 16, ten classes."""

    def load(self, config: DataConfig) -> RawImages:
        """All digits."""
        import numpy as np
        from sklearn.datasets import load_digits

        from distill_tune.data.raw import RawImages

        bunch = load_digits()
        return RawImages(
            inputs=bunch.images.astype(np.uint8)[:, None],
            labels=bunch.target.astype(np.int64),
            classes=tuple(str(name) for name in bunch.target_names),
            where="digits",
        )

    def content(self, config: DataConfig) -> str:
        """SHA-256 of the bundled file, found without the second that importing scikit-learn takes."""
        spec = find_spec("sklearn")
        assert spec, "scikit-learn is a dependency"
        return sha256_of(Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz")
