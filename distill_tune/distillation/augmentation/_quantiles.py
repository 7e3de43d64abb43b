"""Non-uniform distributions, sampled from tables of quantiles.

Drawn integers index the tables, so Beta and normal numbers are the same on every device: devices' logarithms and roots
differ in the last bit. The tables are computed once, in float64, on the CPU.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

from distill_tune.distillation.augmentation._base import Draw

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_BETA_STEPS = 1 << 12
_NORMAL_STEPS = 1 << 16
"""The largest normal number is then 4.3."""
_KEPT_BYTES, _KEPT_VIEWS = 1 << 20, 32
"""Maximum bytes per view, and number of views: 32 MB at most."""
_FLOAT_BYTES = 4


def beta_share(alpha: float, draw: Draw, stream: str) -> Tensor:
    """float32 [batch] in [0, 1], distributed as Beta(alpha, alpha); alpha > 0."""
    place = draw.below(_BETA_STEPS, stream)
    return _beside(place, _beta_table(alpha))[place]


def normal(draw: Draw, stream: str, columns: int) -> Tensor:
    """float32 [batch, columns], normally distributed with mean 0 and deviation 1."""
    place = draw.below(_NORMAL_STEPS, stream, columns)
    return _beside(place, _normal_table()).take(place)


def kept_normal(draw: Draw, stream: str, columns: int) -> Tensor:
    """The same as `normal`, but for small data sets the numbers of whole views are cached.

    All trainings see the same views, and in a search most stop after the first few: on a small table, drawing noise
    anew took a tenth of the training time of a student with two thousand parameters.
    """
    if draw.pool is None or len(draw.pool) * columns * _FLOAT_BYTES > _KEPT_BYTES:
        return normal(draw, stream, columns)
    view = _normal_view(draw.seed, draw.view, stream, len(draw.pool), columns, draw.index.device)
    return view.index_select(0, draw.index)


@lru_cache(maxsize=_KEPT_VIEWS)
def _normal_view(seed: int, view: int, stream: str, samples: int, columns: int, device: torch.device) -> Tensor:
    import torch

    return normal(Draw(seed, view, torch.arange(samples, device=device)), stream, columns)


def _beside(place: Tensor, table: Tensor) -> Tensor:
    from distill_tune.distillation.devices import sent

    return sent(table, place.device)


@cache
def _beta_table(alpha: float) -> Tensor:
    import torch
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(alpha, alpha, _middles(_BETA_STEPS).numpy())).float()


@cache
def _normal_table() -> Tensor:
    import torch
    from scipy.special import ndtri

    return torch.from_numpy(ndtri(_middles(_NORMAL_STEPS).numpy())).float()


def _middles(steps: int) -> Tensor:
    """float64 [steps]: evenly spaced probabilities."""
    import torch

    return (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
