"""Features: outputs of a network's named modules, captured by forward hooks.

Hooks are registered on the modules of the bare network, so its names hold inside any wrapper: data parallelism calls
the same modules, and `torch.compile` traces their hooks with them. A feature that no hook has captured is an error,
never a loss of zero.

A feature is a vector, [batch, channels], or a map, [batch, channels, height, width]; tokens, [batch, tokens, channels],
are a map of one column. Maps with channels last are permuted. A feature is a module's output or, by the name
`input:head`, the input of the module `head`: in some networks no module outputs what the last layer is given.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.distillation.losses import Shape
from distill_tune.errors import TrainingError

MOST_PLACES = 64
"""A teacher's map with more places is average-pooled before it is stored or compared."""
MOST_NUMBERS = 8192
"""So is a map with more numbers, while it has more than 4 places."""
_PLACES_LEFT = 4
INPUT = "input:"
"""Prefix of the name of a module's input."""


def bounded(shape: Shape) -> Shape:
    """The shape in which a teacher's feature is stored: the longer side is halved until the map is small enough."""
    if len(shape) == 1:
        return shape
    channels, height, width = shape
    while height * width > (MOST_PLACES if channels * height * width <= MOST_NUMBERS else _PLACES_LEFT):
        height, width = (height, -(-width // 2)) if width > height else (-(-height // 2), width)
    return channels, height, width


def bring_down(feature: Tensor) -> Tensor:
    """A teacher's feature as it is stored and compared: average-pooled to the `bounded` shape."""
    shape = bounded(tuple(feature.shape[1:]))
    if shape == tuple(feature.shape[1:]):
        return feature
    return nn.functional.adaptive_avg_pool2d(feature, (shape[1], shape[2]))


def feature_of(output: Any, channels_last: bool = False) -> Tensor | None:
    """A module's output as a feature; of several tensors, the first. None if it is not a feature.

    `channels_last` says that a map is [batch, height, width, channels].
    """
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        output = output[0] if output else None
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if output.dim() == 3:
        return output.mT.unsqueeze(-1)
    if output.dim() == 4 and channels_last:
        return output.movedim(-1, 1)
    return output if output.dim() in (2, 4) else None


def network_in(module: nn.Module) -> nn.Module:
    """The network behind the normalisation of its inputs and any compilation, whose module names users know."""
    network = getattr(module, "network", None)
    network = network if isinstance(network, nn.Module) else module
    compiled = getattr(network, "_orig_mod", None)
    return compiled if isinstance(compiled, nn.Module) else network


def see_hooks_that_come_and_go() -> None:
    """Make compiled code check for hooks on each call, which PyTorch skips by default.

    The workers of a search train the same network with hooks and without; code compiled without hooks would be reused
    for a network with hooks, and its features would be missing. Called in each training once its student is built: a
    user's student may be the first module to be compiled.
    """
    if "torch._dynamo" in sys.modules:  # else nothing is compiled, and importing it takes most of a second
        torch._dynamo.config.skip_nnmodule_hook_guards = False


class Tap:
    """Captures some features of a network, only while it runs through `run`."""

    def __init__(self, module: nn.Module, names: Iterable[str], channels_last: Collection[str] = ()):
        """Register hooks on the modules called `names` in the network of `module`.

        `channels_last` names those whose maps have their channels last, as in `Anatomy`.
        """
        self._modules = dict(network_in(module).named_modules())
        self._names, self._channels_last = tuple(names), frozenset(channels_last)
        self._caught: dict[str, Tensor] = {}
        self._listening = False
        self._handles = [self._hook(name) for name in self._names]

    def _hook(self, name: str) -> Any:
        if name.startswith(INPUT):
            return self._modules[name.removeprefix(INPUT)].register_forward_pre_hook(_Catch(self, name))
        return self._modules[name].register_forward_hook(_Catch(self, name))

    def run(self, module: nn.Module, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The module's logits for a batch of inputs, and the features in the order of the names.

        Raises:
            TrainingError: a layer was not called, or its output is no longer a feature.
        """
        self._listening = True
        logits = module(inputs)
        self._listening = False
        if len(self._caught) != len(self._names):
            missing = next(name for name in self._names if name not in self._caught)
            raise TrainingError(f"layer {missing!r} has put out no feature in this pass.")
        features = [self._caught[name] for name in self._names]
        self._caught.clear()
        return logits, features

    def catch(self, name: str, output: Any) -> None:
        """Keep a module's output or input."""
        if self._listening:
            feature = feature_of(output, name in self._channels_last)
            if feature is not None:
                self._caught[name] = feature.clone()  # an in-place ReLU or a `y += shortcut` may overwrite it

    def close(self) -> None:
        """Remove the hooks."""
        for handle in self._handles:
            handle.remove()


class _Catch:
    """A hook that runs before or after a module."""

    def __init__(self, tap: Tap, name: str):
        self._tap, self._name = tap, name

    def __call__(self, module: nn.Module, inputs: Any, *output: Any) -> None:
        self._tap.catch(self._name, *output or (inputs,))


@torch.no_grad()
def run_tapped(tap: Tap, module: nn.Module, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A teacher's logits and features for a batch, float32, as they are compared: large maps are average-pooled."""
    device = next(module.parameters(), inputs).device
    logits, features = tap.run(module, inputs.to(device, copy=True))  # the student's pass still needs them
    return logits.float(), tuple(bring_down(feature.float()) for feature in features)
