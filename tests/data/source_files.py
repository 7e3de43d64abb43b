"""Data files to read, and a check that they are refused."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_tune.config.sections import DataConfig
from distill_tune.data import Dataset
from distill_tune.data.build import build
from distill_tune.errors import DataError, InputError

Prepare = Callable[..., Dataset]
SaveNpz = Callable[..., Path]
SaveText = Callable[..., Path]
PEOPLE = "age,city,kind\n" + "".join(f"{20 + i},{'ab'[i % 2]},{'yes' if i % 3 else 'no'}\n" for i in range(60))


def refuse(source: str, path: Path | None, said: str, error: type[InputError] = DataError, **keys: Any) -> None:
    with pytest.raises(error, match=said) as caught:
        build(DataConfig(source=source, path=path and str(path), **keys))
    assert "\n" not in str(caught.value)
    assert path is None or path.name in str(caught.value)


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
