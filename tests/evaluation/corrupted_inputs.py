"""Inputs to corrupt: digits, made-up photographs, rows of a table."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from distill_tune.evaluation.corruptions import Corruption
from distill_tune.registry import CORRUPTIONS

Array = NDArray[Any]

RANDOM = np.random.default_rng(0)
INPUTS: dict[str, Array] = {
    "digits": load_digits().images[:200, None].astype(np.uint8),
    "photographs": np.cumsum(RANDOM.integers(0, 14, (30, 3, 32, 32)), axis=-1).clip(0, 255).astype(np.uint8),
    "rows": RANDOM.standard_normal((300, 16)).astype(np.float32),
}


def corruption(name: str) -> Corruption:
    made: Corruption = CORRUPTIONS.get(name)()
    return made
