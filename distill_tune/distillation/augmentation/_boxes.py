"""Boxes in images, a side at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def covered(first: Tensor, length: Tensor | int, size: int) -> Tensor:
    """The places of an axis of `size` that a box covers: bool [batch, size].

    Args:
        first: int64 [batch, 1], the first of them; may lie outside.
        length: of the side, int64 [batch, 1] or one for all.
        size: of the image on that axis.
    """
    import torch

    place = torch.arange(size, device=first.device)
    return (place >= first) & (place < first + length)


def box(rows: Tensor, columns: Tensor) -> Tensor:
    """Bool [batch, 1, height, width] of what it covers on both axes, bool [batch, height] and [batch, width]."""
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)
