"""A network's layers, as seen in one pass of blank samples, and which of them are compared by default.

The same rules hold for any network: the stages of a convolutional one end where the size of its maps changes, those of
another are its hidden layers, and its last feature is the input of the last layer. If a module is called several times
in a pass, the last call counts. The layer with weights before a map determines which axis has the channels.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from distill_tune.atomic import new_file
from distill_tune.distillation.features.tap import INPUT, bounded, feature_of, network_in
from distill_tune.distillation.features.watching import Watch
from distill_tune.distillation.losses import Shape
from distill_tune.errors import CacheError, ConfigError
from distill_tune.evaluation.mode import in_evaluation
from distill_tune.evaluation.portions import device_of
from distill_tune.registry import closest

_LISTED = 40
"""Maximum number of layers that an error lists."""


@dataclass(frozen=True)
class Anatomy:
    """The features of a network, in the order in which they are computed."""

    shapes: dict[str, Shape]
    """Shape of each layer's feature, by the layer's name."""
    maps: tuple[str, ...]
    """The last layer of each map size, that is, of each stage of a convolutional network."""
    vectors: tuple[str, ...]
    """Top-level layers that pass vectors to a layer with weights: hidden layers."""
    last: str | None
    """The input of the last layer, whatever is done to the logits it makes: a layer, or `input:` and its name."""
    channels_last: tuple[str, ...] = ()
    """Layers whose maps have their channels last in the network itself."""

    def known(self, key: str, whose: str, name: str) -> str:
        """Return the name itself if there is such a layer.

        Raises:
            ConfigError: there is none.
        """
        if name in self.shapes:
            return name
        names, near = list(self.shapes), closest(name, list(self.shapes))
        listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
        hint = f" Did you mean {near!r}?" if near else ""
        raise ConfigError(f"{key}: the {whose} has no feature {name!r}.{hint} Known: {listed}.")

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        with new_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Anatomy:
        """Read what `write` wrote.

        Raises:
            CacheError: the file is missing or damaged.
        """
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            shapes = {name: tuple(shape) for name, shape in known["shapes"].items()}
            maps, vectors, channels_last = (tuple(known[key]) for key in ("maps", "vectors", "channels_last"))
            return cls(shapes, maps, vectors, known["last"], channels_last)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CacheError(f"{path}: is missing or damaged; start again.") from error

    def kept(self) -> Anatomy:
        """The same, with the shapes in which a teacher's features are stored."""
        shapes = {name: bounded(shape) for name, shape in self.shapes.items()}
        return replace(self, shapes=shapes)


@torch.no_grad()
def anatomy_of(module: nn.Module, input_shape: tuple[int, ...]) -> Anatomy:
    """Run two blank samples through a module in eval mode, and record what its network's layers output."""
    network = network_in(module)
    modules = {name: each for name, each in network.named_modules() if name}
    watch = Watch(modules)
    with ExitStack() as hooks, in_evaluation(module), _as_written():
        for name, each in modules.items():
            hooks.enter_context(each.register_forward_hook(_see(watch, name)))
        watch.logits = module(torch.zeros(2, *input_shape, device=device_of(module)))
    return _read(watch, _own_level(network))


def _as_written() -> AbstractContextManager[Any]:
    """Run compiled modules eagerly: code compiled now would contain these hooks, and miss later ones.

    Unless TorchDynamo is loaded, nothing is compiled, and importing it takes most of a second.
    """
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _see(watch: Watch, name: str) -> Any:
    return lambda module, inputs, output: watch.see(name, inputs, output)


def _head(watch: Watch) -> int:
    """Index in `watch.order` of the layer that makes the logits; the length of `watch.order` if none is known to.

    Whatever follows it (a softmax, a scale, a mean over places) sees the logits and is not a feature. The layer is the
    last linear or convolutional one, if that has as many channels as there are classes.
    """
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    last = max(
        (place for place, name in enumerate(watch.order) if isinstance(watch.modules[name], layers)), default=None
    )
    logits = watch.logits
    if last is None or not isinstance(logits, Tensor) or logits.dim() != 2:
        return len(watch.order)
    feature = feature_of(watch.outputs[watch.order[last]])
    tells_apart = feature is not None and feature.shape[:2] == logits.shape
    return last if tells_apart else len(watch.order)


def _own_level(network: nn.Module, prefix: str = "") -> list[str]:
    """Names of the layers at the outermost level that has several."""
    children = list(network.named_children())
    if len(children) == 1:
        (name, child) = children[0]
        return _own_level(child, f"{prefix}{name}.") or [f"{prefix}{name}"]
    return [f"{prefix}{name}" for name, _ in children]


def _read(watch: Watch, own_level: list[str]) -> Anatomy:
    head = _head(watch)
    features = _features(watch, watch.order[:head])
    shapes = {name: tuple(feature.shape[1:]) for name, feature in features.items()}
    maps = _stages(watch, shapes)
    level = [name for name in watch.order if name in own_level]
    vectors = [
        name
        for name, after in pairwise(level)
        if len(shapes.get(name, ())) == 1 and next(watch.modules[after].parameters(), None) is not None
    ]
    last = next(reversed(shapes), None)
    if head < len(watch.order) and (seen := feature_of(watch.inputs[watch.order[head]])) is not None:
        made_by = [name for name, feature in features.items() if _is_same(watch, name, feature, seen)]
        last = made_by[-1] if made_by else f"{INPUT}{watch.order[head]}"
        shapes[last] = shapes.get(last, tuple(seen.shape[1:]))
    channels_last = tuple(name for name in features if watch.has_channels_last(name))
    return Anatomy(shapes, maps, tuple(vectors), last, channels_last)


def _features(watch: Watch, names: Sequence[str]) -> dict[str, Tensor]:
    """Features of the named modules, from the first with weights on."""
    has_weights, found = False, dict[str, Tensor]()
    for name in names:
        has_weights = has_weights or next(watch.modules[name].parameters(), None) is not None
        feature = watch.feature(name)
        if has_weights and feature is not None and feature is not watch.logits:
            found[name] = feature
    return found


def _stages(watch: Watch, shapes: dict[str, Shape]) -> tuple[str, ...]:
    """The last map of each size; tokens that turn back into a map, as in Swin's blocks, do not count as another."""
    sizes, before = dict[tuple[int, ...], str](), (0, 0)
    for name, (channels, *size) in shapes.items():
        places = prod(size)
        if places > 1 and not _is_no_map(watch, name, shapes[name], before):
            again = {each for each in sizes if each == tuple(size) or (size[1] > 1 and prod(each) == places)}
            sizes = {each: of for each, of in sizes.items() if each not in again} | {tuple(size): name}
            before = channels, places
    return tuple(sizes.values())


def _is_no_map(watch: Watch, name: str, shape: Shape, before: tuple[int, int]) -> bool:
    """Whether what looks like a map has its channels on another axis, undetected by its layers, or has none.

    Such are [height, width, channels]; [channels, places] if tokens are mixed with each other, as in MLP-Mixer; and
    attention weights, [heads, places, places]. `before` is the channels and places of the map before it.
    """
    channels, height, width = shape
    is_last = channels == height != width > 1 and channels != watch.made[name].units
    is_turned = width == 1 and channels != height and (height, channels) == before
    return is_last or is_turned or channels < before[1] == height == width


def _is_same(watch: Watch, name: str, feature: Tensor, seen: Tensor) -> bool:
    """Whether `seen` is a module's output, in whatever shape, and has not been written to since."""
    is_there = feature.numel() == seen.numel() and feature.data_ptr() == seen.data_ptr() != 0
    return is_there and watch.versions[name] == seen._version
