"""Which students can be lanes: chains of linear layers with one kind of activation between them, like every `mlp`.

What counts is the student's structure, not its name, so user-defined MLPs qualify too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

_ops = torch.ops.aten


class Activation(NamedTuple):
    """An activation f with f(0) = 0, and its chain rule; both write into an existing tensor."""

    forward: Callable[[Tensor, Tensor], Tensor]
    """Given input and output, sets the output."""
    backward: Callable[[Tensor, Tensor], Tensor]
    """Given the input and the gradient by the output, turns the latter into the gradient by the input."""


ACTIVATIONS: dict[type[nn.Module], Activation] = {
    nn.ReLU: Activation(
        lambda z, out: torch.clamp_min(z, 0, out=out),
        lambda z, gradient: _ops.threshold_backward.grad_input(gradient, z, 0, grad_input=gradient),
    ),
    nn.GELU: Activation(
        lambda z, out: _ops.gelu.out(z, out=out),
        lambda z, gradient: _ops.gelu_backward.grad_input(gradient, z, grad_input=gradient),
    ),
    nn.SiLU: Activation(
        lambda z, out: _ops.silu.out(z, out=out),
        lambda z, gradient: _ops.silu_backward.grad_input(gradient, z, grad_input=gradient),
    ),
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
        """Number of hidden layers."""
        return len(self.layers) - 1

    @property
    def num_weights(self) -> int:
        """Number of weights in all layers, including biases."""
        return sum((layer.in_features + 1) * layer.out_features for layer in self.layers)


def chain_of(student: nn.Module) -> Chain | None:
    """The student as a chain that shares its weights; None if it is not a chain."""
    parts = dict(student.named_children())
    if set(parts) != {"normalise", "network"} or type(parts["network"]) is not nn.Sequential:
        return None
    modules = [module for module in parts["network"] if not _is_plain_flatten(module)]
    layers, between = modules[::2], modules[1::2]
    activations = {type(module) for module in between}
    is_chain = (
        len(layers) == len(between) + 1 >= 2
        and all(_is_plain_linear(layer) for layer in layers)
        and _is_each_its_own(layers)
        and not any(_does_more(module) for module in student.modules())
        and len(activations) == 1
        and all(getattr(module, "approximate", "none") == "none" for module in between)
        and activations <= set(ACTIVATIONS)
        and not any(parts["normalise"].parameters())
    )
    return Chain(parts["normalise"], layers, activations.pop()) if is_chain else None  # type: ignore[arg-type]


def _is_plain_linear(module: nn.Module) -> bool:
    return type(module) is nn.Linear and all(
        isinstance(each, nn.Parameter) and each.requires_grad for each in (module.weight, module.bias)
    )


def _is_plain_flatten(module: nn.Module) -> bool:
    return type(module) is nn.Flatten and (module.start_dim, module.end_dim) == (1, -1)


def _is_each_its_own(layers: list[nn.Module]) -> bool:
    """Whether no layer or weight occurs twice; a lane would give each occurrence separate weights."""
    return len({id(parameter) for layer in layers for parameter in layer.parameters()}) == 2 * len(layers)


def _does_more(module: nn.Module) -> bool:
    """Whether calling the module runs more or other code than its class defines; lanes never call modules."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return "forward" in vars(module) or any(getattr(module, each) for each in hooks)
