"""Small files to read, and the shortest way from a `[data]` section to its data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_tune.config.sections import DataConfig
from distill_tune.data import Dataset, prepare_data

pytest.register_assert_rewrite("source_files")  # so that failures there are shown in full

Prepare = Callable[..., Dataset]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def prepare(cache: Path) -> Prepare:
    """`prepare("csv", path, csv={"label": "kind"}, test=0.3)`."""

    def prepared(source: str, path: Path | None = None, **keys: Any) -> Dataset:
        return prepare_data(DataConfig(source=source, path=path and str(path), **keys), cache)

    return prepared


@pytest.fixture
def save_npz(tmp_path: Path) -> Callable[..., Path]:
    """An .npz file of these arrays; by default a good table of 60 rows, 3 columns and 3 classes."""

    def save(**arrays: Any) -> Path:
        rng = np.random.default_rng(0)
        good = {"inputs": rng.normal(size=(60, 3)).astype(np.float32), "labels": np.arange(60) % 3}
        path = tmp_path / "data.npz"
        np.savez(path, **{name: a for name, a in (good | arrays).items() if a is not None})
        return path

    return save


@pytest.fixture
def save_text(tmp_path: Path) -> Callable[[str], Path]:
    def save(text: str, name: str = "data.csv") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return save
