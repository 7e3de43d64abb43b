"""Stochastic gradient descent with Nesterov's momentum, the recipe of most published distillation results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.distillation.optimizers._base import LaneStep, OptimizerKind, weight_groups
from distill_tune.registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.distillation.optimizers._direct import Optimizer, Tensors


@OPTIMIZERS.register
class Sgd(OptimizerKind):
    """PyTorch's fused SGD, bit-identical to `torch.optim.SGD`."""

    over_lanes: ClassVar[bool] = True
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`."""
        from distill_tune.distillation.optimizers._direct import DirectOptimizer

        memories = 1 if self.momentum else 0
        return DirectOptimizer(weight_groups(module, weight_decay), learning_rate, self._update, memories)

    def _update(
        self, group: dict[str, Any], params: Tensors, grads: Tensors, memories: list[Tensors], steps: Tensors
    ) -> None:
        import torch

        torch._fused_sgd_(
            params,
            grads,
            memories[0] if memories else [],
            lr=float(group["lr"]),
            momentum=self.momentum,
            dampening=0.0,
            weight_decay=group["weight_decay"],
            nesterov=self.nesterov and self.momentum > 0,
            maximize=False,
            is_first_step=False,  # a running tensor that starts at zero gives the same result
        )

    def step_lanes(self, step: LaneStep) -> None:
        """PyTorch's form: the decay is part of the gradient, and the rate scales the velocity."""
        move = step.gradients.addcmul_(step.decay, step.weights)
        if self.momentum:
            velocity = step.memories[0].mul_(self.momentum).add_(move)
            move = move.add_(velocity, alpha=self.momentum) if self.nesterov else velocity
        step.weights.addcmul_(step.rate, move, value=-1)
