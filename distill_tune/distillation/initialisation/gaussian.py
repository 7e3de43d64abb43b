"""Weights from one normal distribution, N(0, std^2), whatever their layer's width.

GPT-2's choice (Radford et al. 2019; std = 0.02), and the plainest of all: widths do not count, so that wide layers
begin louder than narrow ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.distillation.initialisation._base import Initialisation
from distill_tune.registry import INITIALISATIONS

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.config import Config
    from distill_tune.distillation.materials.materials import Materials


@INITIALISATIONS.register
class Gaussian(Initialisation):
    """Matrices and kernels ~ N(0, std^2), biases 0; normalisation layers are left alone."""

    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"std": {"log": [0.01, 0.5]}}
    """Up to He's sqrt(2 / inputs) of a layer with 8 inputs; small students want more than GPT-2."""
    std: float = Field(0.02, gt=0)

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> None:
        """Draw from torch's global generator, which the seed has set."""
        import torch

        with torch.no_grad():
            for module in student.modules():
                weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
                if isinstance(weight, torch.Tensor) and weight.dim() > 1:
                    weight.normal_(0.0, self.std)
                    if isinstance(bias, torch.Tensor):
                        bias.zero_()
