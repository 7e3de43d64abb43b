"""Random crop: a part of the image, resized to the full image.

The scale part of the "random sized crop" of Szegedy et al., "Going Deeper with Convolutions", 2015,
https://arxiv.org/abs/1409.4842; the aspect ratio is kept. A teacher should see the student's crop: Beyer et al.,
"Knowledge distillation: A good teacher is patient and consistent", 2022, https://arxiv.org/abs/2106.05237
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.augmentation._base import Draw, Transform
from distill_tune.distillation.augmentation._resampling import resized
from distill_tune.registry import AUGMENTATIONS

if TYPE_CHECKING:
    from torch import Tensor


@AUGMENTATIONS.register
class Crop(Transform):
    """`amount` is the smallest share of each side that is kept; the share is uniform in [amount, 1]; 0 keeps all."""

    amount: float = Field(ge=0, le=1)

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        """Cut a window of random size and position out of each sample, and resize it bilinearly."""
        if not self.amount:
            return inputs
        share = 1 - (1 - self.amount) * draw.uniform("crop share")
        rows, columns = (self._places(share, draw, axis, inputs.shape[axis]) for axis in (2, 3))
        return resized(inputs, rows, columns)

    def _places(self, share: Tensor, draw: Draw, axis: int, size: int) -> Tensor:
        """float32 [batch, size]: where each pixel of one axis comes from; first pixel to first, last to last."""
        import torch

        step = share.unsqueeze(1)
        first = draw.uniform(f"crop {axis}").unsqueeze(1) * (1 - step) * (size - 1)
        return first + step * torch.arange(size, device=share.device)
