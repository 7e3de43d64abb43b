"""Forty images, forty table rows, and views of them."""

from typing import Any

import torch
from torch import Tensor

from distill_tune.config.sections import AugmentationConfig
from distill_tune.distillation.views import Views

NUM_IMAGES, SIDE = 40, 9
MEAN = (7.0, 100.0)


def images() -> Tensor:
    return torch.randint(256, (NUM_IMAGES, 2, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def rows_of_a_table() -> Tensor:
    return torch.randn(NUM_IMAGES, 3, generator=torch.Generator().manual_seed(0))


def views(inputs: Tensor | None = None, seed: int = 5, **amounts: Any) -> Views:
    return Views(AugmentationConfig(**amounts), images() if inputs is None else inputs, MEAN, seed)


def everything() -> Tensor:
    return torch.arange(NUM_IMAGES)
