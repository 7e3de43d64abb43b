"""Bilinear sampling of images between pixels, identical to the bit on every device.

Positions are rounded to 1/256 of a pixel. A weight is then a multiple of 2^-8, a product of two weights and a byte has
at most 24 bits, and float32 holds every sum of them exactly, in whatever order a device adds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_PARTS = 256
_BLOCK_BYTES = 1 << 17
"""Bytes of stored inputs that a CPU processes at a time, so that intermediate results stay in its cache."""


def in_blocks(transform: Callable[..., Tensor], inputs: Tensor, *others: Tensor) -> Tensor:
    """Apply `transform(inputs, *others)`, on a CPU in blocks of samples; all are [batch, ...]."""
    import torch

    sample_bytes = max(1, inputs[:1].numel() * inputs.element_size())
    samples = max(1, _BLOCK_BYTES // sample_bytes)
    if inputs.device.type != "cpu" or len(inputs) <= samples:
        return transform(inputs, *others)
    blocks = zip(*(each.split(samples) for each in (inputs, *others)), strict=True)
    return torch.cat([transform(*block) for block in blocks])


def resized(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample `inputs` [batch, channels, h, w] at the grid of `rows` [batch, h] and `columns` [batch, w], inside."""
    return in_blocks(_resized, inputs, rows, columns)


def _resized(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    halfway = _along(inputs.float(), rows, 2)
    return as_stored(_along(halfway, columns, 3), inputs)


def resampled(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample `inputs` [batch, channels, h, w] at float positions [batch, h, w], with zeros around the image."""
    return in_blocks(_resampled, inputs, rows, columns)


def _resampled(inputs: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    from torch.nn.functional import pad

    channels, height, width = inputs.shape[1:]
    (top, down), (left, right) = _split(rows.clamp(-1, height)), _split(columns.clamp(-1, width))
    stride = width + 3
    pixels = pad(inputs.float(), (1, 2, 1, 2)).flatten(2)
    place = ((top + 1) * stride + left + 1).flatten(1).unsqueeze(1).expand(-1, channels, -1)
    corners = (pixels[:, :, step:].gather(2, place) for step in (0, 1, stride, stride + 1))
    upper_left, upper_right, lower_left, lower_right = corners
    down, right = down.flatten(1).unsqueeze(1), right.flatten(1).unsqueeze(1)
    upper = upper_left + (upper_right - upper_left) * right
    lower = lower_left + (lower_right - lower_left) * right
    return as_stored((upper + (lower - upper) * down).view(inputs.shape), inputs)


def as_stored(values: Tensor, like: Tensor) -> Tensor:
    """Float values in the type of `like`; rounded and clamped to its range if it is an integer type."""
    if like.is_floating_point():
        return values.to(like.dtype)
    import torch

    info = torch.iinfo(like.dtype)
    return values.round().clamp(info.min, info.max).to(like.dtype)


def _along(values: Tensor, places: Tensor, axis: int) -> Tensor:
    """Interpolate at positions `places` [batch, size] of one axis."""
    size = values.shape[axis]
    shape = [len(values), 1, 1, 1]
    shape[axis] = size
    first, part = _split(places)
    low, high = (values.gather(axis, at.clamp(0, size - 1).view(shape).expand_as(values)) for at in (first, first + 1))
    return low + (high - low) * part.view(shape)


def _split(places: Tensor) -> tuple[Tensor, Tensor]:
    """The pixel (int64) below each position, and the offset from it: float32 in [0, 1), a multiple of 1/256."""
    whole = (places * _PARTS).round() / _PARTS
    below = whole.floor()
    return below.long(), whole - below
