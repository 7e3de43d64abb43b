"""AdamW: Adam with decoupled weight decay.

Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.optimizers._base import OptimizerKind, weight_groups
from distill_tune.registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


@OPTIMIZERS.register
class AdamW(OptimizerKind):
    """PyTorch's fused AdamW."""

    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`."""
        import torch

        groups = weight_groups(module, weight_decay)
        return torch.optim.AdamW(groups, lr=learning_rate, betas=(self.beta1, self.beta2), fused=True)
