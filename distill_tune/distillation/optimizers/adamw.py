"""AdamW: Adam with decoupled weight decay.

Loshchilov, Hutter, "Decoupled Weight Decay Regularization", 2019, https://arxiv.org/abs/1711.05101
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from distill_tune.distillation.optimizers._base import OptimizerKind, weight_groups
from distill_tune.registry import OPTIMIZERS

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.distillation.optimizers._direct import Optimizer

_EPS = 1e-8


@OPTIMIZERS.register
class AdamW(OptimizerKind):
    """PyTorch's fused AdamW (`torch.optim.AdamW`, to the bit)."""

    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`."""
        import torch

        from distill_tune.distillation.optimizers._direct import DirectOptimizer, Tensors

        def update(
            group: dict[str, Any], params: Tensors, grads: Tensors, memories: list[Tensors], steps: Tensors
        ) -> None:
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

        return DirectOptimizer(weight_groups(module, weight_decay), learning_rate, update, memories=2)
