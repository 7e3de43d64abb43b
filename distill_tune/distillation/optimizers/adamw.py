"""AdamW: Adam with decoupled weight decay.

Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from math import inf, log
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from distill_tune.distillation.optimizers._base import LaneStep, OptimizerKind, weight_groups
from distill_tune.registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import Tensor, nn

    from distill_tune.distillation.optimizers._direct import Optimizer, Tensors

_EPS = 1e-8


@OPTIMIZERS.register
class AdamW(OptimizerKind):
    """PyTorch's fused AdamW, bit-identical to `torch.optim.AdamW`."""

    over_lanes: ClassVar[bool] = True
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`."""
        from distill_tune.distillation.optimizers._direct import DirectOptimizer

        return DirectOptimizer(weight_groups(module, weight_decay), learning_rate, self._update, memories=2)

    def _update(
        self, group: dict[str, Any], params: Tensors, grads: Tensors, memories: list[Tensors], steps: Tensors
    ) -> None:
        import torch

        means, squares = memories
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            params,
            grads,
            means,
            squares,
            [],
            steps,
            lr=float(group["lr"]),
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=group["weight_decay"],
            eps=_EPS,
            amsgrad=False,
            maximize=False,
        )

    def step_lanes(self, step: LaneStep) -> None:
        """The paper's algorithm 2."""
        mean, square = step.memories
        mean.lerp_(step.gradients, 1 - self.beta1)
        square.mul_(self.beta2).addcmul_(step.gradients, step.gradients, value=1 - self.beta2)
        deviation = square.sqrt().div_(_share_seen(self.beta2, step.number).sqrt_()).add_(_EPS)
        step.weights.addcmul_(step.decay * step.rate, step.weights, value=-1)
        step.weights.addcdiv_(mean * (step.rate / _share_seen(self.beta1, step.number)), deviation, value=-1)


def _share_seen(beta: float, number: Tensor) -> Tensor:
    """1 - beta^number, via `expm1` to keep precision in the first steps, when the power is nearly 1."""
    return (number * (log(beta) if beta else -inf)).expm1_().neg_()
