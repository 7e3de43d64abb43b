"""Loss terms on features, and random features for them, in float64."""

from typing import Any

import numpy as np
import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor

from distill_tune.distillation.features.pairing import Pairing
from distill_tune.distillation.losses import FeatureLoss
from distill_tune.distillation.training.feature_terms import FeatureTerm
from distill_tune.registry import LOSSES

Array = np.ndarray
SEEDS = st.integers(0, 999)
few = settings(max_examples=20)
Shapes = list[tuple[int, ...]]


def on_features(name: str, **options: Any) -> FeatureLoss:
    entry = LOSSES.get(name)
    loss = entry(**({"on": "features"} if "on" in entry.model_fields else {}), **options)
    assert isinstance(loss, FeatureLoss)
    assert loss.reads_features
    return loss


def term_of(name: str, ours: Shapes, theirs: Shapes, **options: Any) -> FeatureTerm:
    """A term in float64, its projector drawn from a fixed seed."""
    torch.manual_seed(7)
    layers = tuple(map(str, range(len(ours))))
    return FeatureTerm(on_features(name, **options), Pairing(layers, layers, tuple(ours), tuple(theirs))).double()


def drawn(shapes: Shapes, batch: int = 8, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, *shape, generator=generator, dtype=torch.float64) for shape in shapes]
