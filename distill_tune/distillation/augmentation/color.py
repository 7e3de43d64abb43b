"""Brightness and contrast jitter: each image is lit differently.

Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, changed the
light of the training images; scaling brightness and contrast is A. Howard's version, 2013,
https://arxiv.org/abs/1312.5402. It needs no hue, so it also works for images with one channel.

    x'  =  brightness * (mean + contrast * (x - mean)),   brightness and contrast uniform in [1 - amount, 1 + amount]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._resampling import as_stored, in_blocks
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor

_FINENESS = 64
"""Factors are multiples of 1/64, and means are integers like the pixels, so that float32 is exact on any device."""


@AUGMENTATIONS.register
class Color(Transform):
    """`amount` is the maximum distance of both factors from 1; `mean` is the image's, over all channels."""

    amount: float = Field(ge=0, le=1)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Scale the brightness and contrast of each sample, clamped to the range of the type."""
        brightness, contrast = (self._factor(draw, stream) for stream in ("color brightness", "color contrast"))
        return in_blocks(_lit, inputs, brightness, contrast)

    def _factor(self, draw: Draw, stream: str) -> Tensor:
        """A factor per sample: float32 [batch, 1, 1, 1]."""
        far = (self.amount * _FINENESS * (2 * draw.uniform(stream) - 1)).round()
        return (1 + far / _FINENESS).view(-1, 1, 1, 1)


def _lit(inputs: Tensor, brightness: Tensor, contrast: Tensor) -> Tensor:
    mean = _whole_mean(inputs)
    return as_stored(brightness * (mean + contrast * (inputs - mean)), inputs)


def _whole_mean(inputs: Tensor) -> Tensor:
    """The mean, [batch, 1, 1, 1]; for integers exact in any order of summation, and rounded to float32."""
    if inputs.is_floating_point():
        return inputs.mean((1, 2, 3), keepdim=True)
    total, count = inputs.long().sum((1, 2, 3), keepdim=True), inputs[0].numel()
    return ((2 * total + count) // (2 * count)).float()
