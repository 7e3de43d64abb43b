"""Rotation about the centre of the image, with zeros filling the corners.

One of the affine distortions of Simard, Steinkraus, Platt, "Best Practices for Convolutional Neural Networks Applied to
Visual Document Analysis", ICDAR 2003.
"""

from __future__ import annotations

from functools import cache
from math import cos, radians, sin
from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._resampling import resampled
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor

_ANGLES = 1 << 10
_FINENESS = 1 << 12
"""Sines are rounded to 1/4096: their products with offsets of up to 1024 pixels are exact in float32."""


@AUGMENTATIONS.register
class Rotation(Transform):
    """`amount` is the largest angle in degrees, either way; angles are uniform in [-amount, amount]."""

    amount: float = Field(ge=0, le=180)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Rotate each sample by sampling every pixel from its rotated position."""
        import torch

        from distill_tune.distillation.devices import sent

        place = draw.below(_ANGLES, "rotation")
        cosine, sine = sent(_turns(self.amount), place.device)[place].view(-1, 2, 1, 1).unbind(1)
        height, width = inputs.shape[2:]
        down = (torch.arange(height, device=place.device) - (height - 1) / 2).view(1, -1, 1)
        right = (torch.arange(width, device=place.device) - (width - 1) / 2).view(1, 1, -1)
        rows = cosine * down - sine * right + (height - 1) / 2
        columns = sine * down + cosine * right + (width - 1) / 2
        return resampled(inputs, rows, columns)


@cache
def _turns(most: float) -> Tensor:
    """float32 [angles, 2]: cosine and sine of evenly spaced angles up to `most` degrees either way."""
    import torch

    angles = [radians(most * (2 * (i + 0.5) / _ANGLES - 1)) for i in range(_ANGLES)]
    rounded = [[round(each * _FINENESS) / _FINENESS for each in (cos(angle), sin(angle))] for angle in angles]
    return torch.tensor(rounded)
