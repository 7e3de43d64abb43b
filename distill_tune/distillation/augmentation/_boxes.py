"""Boxes in images, one axis at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def covered(first: Tensor, length: Tensor | int, size: int) -> Tensor:
    """The positions along an axis that a box covers: bool [batch, size].

    Args:
        first: first position, int64 [batch, 1]; may lie outside.
        length: of the box's side, int64 [batch, 1] or one for all.
        size: of the image along that axis.
    """
    import torch

    place = torch.arange(size, device=first.device)
    return (place >= first) & (place < first + length)


def box(rows: Tensor, columns: Tensor) -> Tensor:
    """The box, bool [batch, 1, height, width], that covers `rows` [batch, height] and `columns` [batch, width]."""
    return (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)
