"""Helpers that call losses on logits directly: random logits, and the value of a loss on them."""

from typing import Any

import numpy as np
import torch

from distill_tune.registry import LOSSES

Array = np.ndarray


def drawn(seed: int, samples: int = 6, classes: int = 4) -> tuple[Array, Array]:
    student, teacher = np.random.default_rng(seed).normal(size=(2, samples, classes)) * 3
    return student, teacher


def ours(name: str, student: Array, teacher: Array, temperature: float = 4.0, **options: Any) -> float:
    value = LOSSES.get(name)(**options).soft(torch.from_numpy(student), torch.from_numpy(teacher), temperature)
    return float(value)
