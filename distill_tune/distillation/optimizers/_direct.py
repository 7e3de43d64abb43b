"""PyTorch's fused kernels without the per-step overhead of `torch.optim`; results are bit-identical.

For a student of a few thousand parameters, `Optimizer.step` takes eight times as long as the kernel it calls (44 vs.
5 us for an MLP of six tensors), a tenth of the whole training step. Its first use also loads TorchDynamo, which takes
each worker most of a second.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import compress
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor


class Optimizer(Protocol):
    """What the training loop needs of an optimizer; every `torch.optim.Optimizer` satisfies it."""

    param_groups: list[dict[str, Any]]

    def step(self) -> Any:
        """Update the weights from their gradients."""

    def zero_grad(self) -> None:
        """Clear the gradients."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Also update the weights `params`; settings that the group lacks are those of the others."""

    def state_dict(self) -> dict[str, Any]:
        """State for `load_state_dict`."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from a state."""


Tensors = list[Tensor]
Update = Callable[[dict[str, Any], Tensors, Tensors, list[Tensors], Tensors], None]
"""Takes a group, its weights, their gradients, lists of running tensors (one per weight), and counts of the previous
steps; updates all but the gradients in place."""


class _State(NamedTuple):
    """State of one group."""

    memories: list[Tensors]
    steps: Tensors

    def tensors(self) -> Tensors:
        return [tensor for memory in (*self.memories, self.steps) for tensor in memory]


class DirectOptimizer:
    """Groups of weights, each with its `lr` and `weight_decay`, and `memories` running tensors per weight.

    A group without an `lr` gets `learning_rate`.
    """

    def __init__(self, groups: list[dict[str, Any]], learning_rate: float, update: Update, memories: int):
        self._update, self._learning_rate, self._memories = update, learning_rate, memories
        self.param_groups: list[dict[str, Any]] = []
        self._states: list[_State] = []
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Also update these weights, with their own `weight_decay` and, unless they have one, the same rate."""
        self.param_groups.append({"lr": self._learning_rate, **param_group})
        memories = [[torch.zeros_like(p) for p in param_group["params"]] for _ in range(self._memories)]
        self._states.append(_State(memories, [torch.zeros((), device=p.device) for p in param_group["params"]]))

    def running(self, parameter: Tensor) -> tuple[Tensors, Tensor]:
        """State of a weight: its running tensors, and its step count."""
        for group, (memories, steps) in zip(self.param_groups, self._states, strict=True):
            for place, each in enumerate(group["params"]):
                if each is parameter:
                    return [memory[place] for memory in memories], steps[place]
        raise KeyError("not a weight of this optimizer")

    @torch.no_grad()
    def step(self) -> None:
        """Update all weights that have a gradient."""
        for group, (memories, steps) in zip(self.param_groups, self._states, strict=True):
            params: Tensors = group["params"]
            grads = [p.grad for p in params if p.grad is not None]
            if len(grads) < len(params):  # the loss does not reach some part of the student
                reached = [p.grad is not None for p in params]
                params, steps, *memories = (list(compress(column, reached)) for column in (params, steps, *memories))
            if params:
                self._update(group, params, grads, memories, steps)

    def zero_grad(self) -> None:
        """Clear the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Running tensors and step counts; rates belong to the configuration."""
        return {"groups": [state._asdict() for state in self._states]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from a state."""
        for own, kept in zip(self._states, state_dict["groups"], strict=True):
            for one, other in zip(own.tensors(), _State(**kept).tensors(), strict=True):
                one.copy_(other)
