"""Stochastic gradient descent with Nesterov's momentum, the recipe of most published distillation results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from distill_tune.distillation.optimizers._base import LaneStep, OptimizerKind, weight_groups
from distill_tune.registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer


@OPTIMIZERS.register
class Sgd(OptimizerKind):
    """PyTorch's fused SGD."""

    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`."""
        import torch

        nesterov = self.nesterov and self.momentum > 0
        groups = weight_groups(module, weight_decay)
        return torch.optim.SGD(groups, lr=learning_rate, momentum=self.momentum, nesterov=nesterov, fused=True)

    @property
    def lane_moments(self) -> tuple[str, ...]:
        """The velocity, where there is momentum."""
        return ("momentum_buffer",) if self.momentum else ()

    def step_lanes(self, step: LaneStep) -> None:
        """PyTorch's form: decay is a part of the gradient, and the rate is a factor on the velocity."""
        move = step.gradients.addcmul_(step.decay, step.weights)
        if self.momentum:
            velocity = step.moments["momentum_buffer"]
            velocity.mul_(self.momentum).add_(move)
            move = move.add_(velocity, alpha=self.momentum) if self.nesterov else velocity
        step.weights.sub_(step.rate * move)
