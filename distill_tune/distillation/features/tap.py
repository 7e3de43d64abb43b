"""Features: what the named modules of a network put out, caught by forward hooks.

Hooks are put on the modules of the bare network, so its names hold inside any wrapper: data parallelism calls the same
modules, and `torch.compile` traces their hooks with them. What a hook has not caught is an error, never a loss of zero.

A feature is a vector, [batch, channels], or a map, [batch, channels, height, width]; tokens, [batch, tokens, channels],
are a map of one column.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.distillation.losses import Shape
from distill_tune.errors import TrainingError

MOST_PLACES = 64
"""A teacher's map with more places is averaged down before it is kept or compared."""
MOST_NUMBERS = 8192
"""So is a map with more numbers, as long as it has more than 4 places."""
_PLACES_LEFT = 4


def bounded(shape: Shape) -> Shape:
    """The shape in which a teacher's feature is kept: its longer side is halved until the map is small enough."""
    if len(shape) == 1:
        return shape
    channels, height, width = shape
    while height * width > (MOST_PLACES if channels * height * width <= MOST_NUMBERS else _PLACES_LEFT):
        height, width = (height, -(-width // 2)) if width > height else (-(-height // 2), width)
    return channels, height, width


def bring_down(feature: Tensor) -> Tensor:
    """A teacher's feature as it is kept and compared: averaged to the `bounded` shape."""
    shape = bounded(tuple(feature.shape[1:]))
    if shape == tuple(feature.shape[1:]):
        return feature
    return nn.functional.adaptive_avg_pool2d(feature, (shape[1], shape[2]))


def feature_of(output: Any) -> Tensor | None:
    """What a module put out as a feature; of several tensors, the first. None where it is none."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list):
        output = output[0] if output else None
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return None
    if output.dim() == 3:
        return output.mT.unsqueeze(-1)
    return output if output.dim() in (2, 4) else None


def network_in(module: nn.Module) -> nn.Module:
    """The network behind the normalisation of its inputs, whose names people know."""
    network = getattr(module, "network", None)
    network = network if isinstance(network, nn.Module) else module
    compiled = getattr(network, "_orig_mod", None)
    return compiled if isinstance(compiled, nn.Module) else network


class Tap:
    """Catches the features of some modules of a network while it runs through `run`, and at no other time."""

    def __init__(self, module: nn.Module, names: Iterable[str]):
        """Put hooks on the modules that are called `names` in the network of `module`."""
        network = network_in(module)
        modules = dict(network.named_modules())
        self._names = tuple(names)
        self._caught: dict[str, Tensor] = {}
        self._listening = False
        self._handles = [modules[name].register_forward_hook(_Catch(self, name)) for name in self._names]

    def run(self, module: nn.Module, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The module's logits for a batch of inputs, and the features in the order of the names.

        Raises:
            TrainingError: a layer was not called, or put out something else than before.
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
        """Keep what a module put out."""
        if self._listening:
            feature = feature_of(output)
            if feature is not None:
                self._caught[name] = feature.clone()  # a ReLU in place, or a `y += shortcut`, may write over it

    def close(self) -> None:
        """Take the hooks off again."""
        for handle in self._handles:
            handle.remove()


class _Catch:
    """A hook."""

    def __init__(self, tap: Tap, name: str):
        self._tap, self._name = tap, name

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self._tap.catch(self._name, output)


@torch.no_grad()
def run_tapped(tap: Tap, module: nn.Module, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """A teacher's logits and features for a batch, float32, as they are compared: large maps brought down."""
    device = next(module.parameters(), inputs).device
    logits, features = tap.run(module, inputs.to(device, copy=True))  # the student's pass is in need of them still
    return logits.float(), tuple(bring_down(feature.float()) for feature in features)
