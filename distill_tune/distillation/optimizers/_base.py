"""What an optimizer entry is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distill_tune.registry import Options

if TYPE_CHECKING:
    from torch import nn

    from distill_tune.distillation.optimizers._direct import Optimizer


class OptimizerKind(Options):
    """A kind of optimizer; its fields are its options beside the learning rate and the weight decay."""

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> Optimizer:
        """The optimizer of all trainable weights of `module`: any of `torch.optim`, or what behaves like one."""
        raise NotImplementedError


def weight_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; biases and norms, which only shift and scale, do not."""
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
