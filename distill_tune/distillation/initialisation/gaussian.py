"""Weights from one normal distribution, N(0, std^2), whatever their layer's width.

GPT-2's choice (Radford et al. 2019; std = 0.02), and the simplest: it ignores the width, so wide layers begin with
larger outputs than narrow ones.
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
    """Matrices and kernels ~ N(0, std^2), and 0 for their biases; normalisation layers are left alone.

    Parameters are chosen by name: weights are drawn, those of embeddings, attention and recurrence included. What is
    named neither weight nor bias, such as a class token or a position table, stays as built.
    """

    ranges: ClassVar[dict[str, dict[str, list[Any]]]] = {"std": {"log": [0.01, 0.5]}}
    """Up to He's sqrt(2 / inputs) for a layer with 8 inputs; small students need more than GPT-2."""
    std: float = Field(0.02, gt=0)

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> None:
        """Draw from torch's global generator, which has been seeded."""
        import torch
        from torch import nn

        norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
        with torch.no_grad():
            for module in student.modules():
                if not isinstance(module, norms):
                    self._draw(dict(module.named_parameters(recurse=False)))

    def _draw(self, parameters: dict[str, nn.Parameter]) -> None:
        """Draw the parameters of one module."""
        weights = [each for name, each in parameters.items() if "weight" in name and each.dim() > 1]
        for weight in weights:
            weight.normal_(0.0, self.std)
        for name, parameter in parameters.items():
            if weights and "bias" in name:
                parameter.zero_()
