"""AdamW: Adam with decoupled weight decay.

Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from distill_tune.distillation.optimizers._base import LaneStep, OptimizerKind, weight_groups
from distill_tune.registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

_EPSILON = 1e-8
"""PyTorch's."""


@OPTIMIZERS.register
class AdamW(OptimizerKind):
    """PyTorch's fused AdamW."""

    counts_steps: ClassVar[bool] = True
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`."""
        import torch

        groups = weight_groups(module, weight_decay)
        return torch.optim.AdamW(groups, lr=learning_rate, betas=(self.beta1, self.beta2), fused=True)

    @property
    def lane_moments(self) -> tuple[str, ...]:
        """Both of Adam's."""
        return "exp_avg", "exp_avg_sq"

    def step_lanes(self, step: LaneStep) -> None:
        """The paper's algorithm 2, its bias corrections drawn together with the rate."""
        mean, square = step.moments["exp_avg"], step.moments["exp_avg_sq"]
        mean.lerp_(step.gradients, 1 - self.beta1)
        square.mul_(self.beta2).addcmul_(step.gradients, step.gradients, value=1 - self.beta2)
        deviation = square.sqrt().div_((1 - self.beta2**step.number).sqrt_()).add_(_EPSILON)
        step.weights.sub_(step.decay * step.weights * step.rate)
        step.weights.sub_(deviation.reciprocal_().mul_(mean).mul_(step.rate / (1 - self.beta1**step.number)))
