"""Put a network's logits in the order of the data's classes, which need not be the order that it was trained with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.evaluation.portions import device_of


@torch.no_grad()
def put_in_order(module: nn.Module, order: Sequence[int], input_shape: tuple[int, ...]) -> None:
    """Make `logits[:, order]` the logits of a module in evaluation mode, [batch, classes].

    If a linear layer outputs the logits, its rows are reordered instead: its output then still is the logits, by which
    losses on features tell it from the layers before it, and a student that begins with its weights has the new order.
    """
    last = _last_layer(module, torch.zeros(2, *input_shape, device=device_of(module)))
    if last is None:
        module.register_forward_hook(partial(_reordered, list(order)))
        return
    for parameter in last.parameters():
        parameter.copy_(parameter[list(order)])


def _reordered(order: list[int], module: nn.Module, inputs: Any, logits: Tensor) -> Tensor:
    return logits[:, order]


def _last_layer(module: nn.Module, inputs: Tensor) -> nn.Linear | None:
    """The linear layer whose output is the logits themselves; None if they are processed further."""
    outputs: list[tuple[nn.Linear, Tensor]] = []
    with ExitStack() as hooks:
        for each in module.modules():
            if isinstance(each, nn.Linear):
                hook = each.register_forward_hook(lambda layer, _, output: outputs.append((layer, output)))
                hooks.enter_context(hook)
        logits = module(inputs)
    found = next((layer for layer, output in reversed(outputs) if output is logits), None)
    return found if found is not None and _is_plain(found, module) else None


def _is_plain(layer: nn.Linear, module: nn.Module) -> bool:
    """Whether its rows are those of its weight and bias alone, which no other layer uses."""
    own = dict(layer.named_parameters())
    all_of_them = module.named_parameters(remove_duplicate=False)
    uses = sum(any(each is mine for mine in own.values()) for _, each in all_of_them)
    return type(layer) is nn.Linear and own.keys() <= {"weight", "bias"} and uses == len(own)
