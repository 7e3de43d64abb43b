"""Which students can lie in lanes: chains of linear layers with one activation between them, as every `mlp` is.

A student is looked at, not asked for its name: a user's own MLP is as good as ours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ops = torch.ops.aten


class Activation(NamedTuple):
    """An activation f with f(0) = 0, and its chain rule."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]
    """The gradient by the output, and the input, to the gradient by the input."""


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(torch.relu, lambda gradient, z: _ops.threshold_backward(gradient, z, 0)),
    nn.GELU: Activation(F.gelu, lambda gradient, z: _ops.gelu_backward(gradient, z)),
    nn.SiLU: Activation(F.silu, lambda gradient, z: _ops.silu_backward(gradient, z)),
}


@dataclass(frozen=True)
class Chain:
    """A student as a chain: normalise, flatten, then linear layers with `activation` after all but the last."""

    normalise: nn.Module
    layers: list[nn.Linear]
    activation: type[nn.Module]
    """A key of `ACTIVATIONS`."""

    @property
    def depth(self) -> int:
        """Hidden layers."""
        return len(self.layers) - 1

    @property
    def num_weights(self) -> int:
        """Of all layers, biases too."""
        return sum((layer.in_features + 1) * layer.out_features for layer in self.layers)


def chain_of(student: nn.Module) -> Chain | None:
    """The student as a chain on its own weights; None where it is none."""
    parts = dict(student.named_children())
    if set(parts) != {"normalise", "network"} or not isinstance(parts["network"], nn.Sequential):
        return None
    modules = [module for module in parts["network"] if not isinstance(module, nn.Flatten)]
    layers, between = modules[::2], modules[1::2]
    activations = {type(module) for module in between}
    is_chain = (
        len(layers) == len(between) + 1 >= 2
        and all(_is_plain_linear(layer) for layer in layers)
        and len(activations) == 1
        and all(getattr(module, "approximate", "none") == "none" for module in between)
        and activations <= set(ACTIVATIONS)
        and not any(parts["normalise"].parameters())
    )
    return Chain(parts["normalise"], layers, activations.pop()) if is_chain else None  # type: ignore[arg-type]


def _is_plain_linear(module: nn.Module) -> bool:
    return type(module) is nn.Linear and module.bias is not None and module.weight.requires_grad
