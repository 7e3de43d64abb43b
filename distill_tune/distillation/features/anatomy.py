"""A network's layers, as one pass of blank samples shows them, and which of them are compared by themselves.

For any network alike: the stages of a convolutional one end where the size of its maps changes, those of another its
hidden layers, and its last feature is what the last layer sees. A module that is called several times in a pass stands
for its last call. Which axis of a map has the channels is told by the layer with weights before it.
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
"""Names of layers that an error lists."""


@dataclass(frozen=True)
class Anatomy:
    """The features of a network, in the order in which they come about."""

    shapes: dict[str, Shape]
    """Name of a layer to the shape of its feature."""
    maps: tuple[str, ...]
    """The last layer of each size of map, that is of each stage of a convolutional network."""
    vectors: tuple[str, ...]
    """The layers of the network's own level that hand vectors to a layer with weights: hidden layers."""
    last: str | None
    """What the last layer sees, whatever is done to the logits that this makes: a layer, or `input:` and its name."""
    channels_last: tuple[str, ...] = ()
    """Those whose maps have their channels last in the network itself."""

    def known(self, key: str, whose: str, name: str) -> str:
        """The name itself.

        Raises:
            ConfigError: no layer is called so.
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
        """What `write` wrote.

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
        """The same with the shapes in which a teacher's features are kept."""
        shapes = {name: bounded(shape) for name, shape in self.shapes.items()}
        return replace(self, shapes=shapes)


@torch.no_grad()
def anatomy_of(module: nn.Module, input_shape: tuple[int, ...]) -> Anatomy:
    """Run two blank samples through a module, in eval mode, and look at what its network's layers put out."""
    network = network_in(module)
    modules = {name: each for name, each in network.named_modules() if name}
    watch = Watch(modules)
    with ExitStack() as hooks, in_evaluation(module), _as_written():
        for name, each in modules.items():
            hooks.enter_context(each.register_forward_hook(_see(watch, name)))
        watch.logits = module(torch.zeros(2, *input_shape, device=device_of(module)))
    return _read(watch, _own_level(network))


def _as_written() -> AbstractContextManager[Any]:
    """Compiled modules run as they are written: what is compiled now would know these hooks, and no others later.

    Without TorchDynamo, whose loading takes most of a second, nothing can be compiled.
    """
    return torch.compiler.set_stance("force_eager") if "torch._dynamo" in sys.modules else nullcontext()


def _see(watch: Watch, name: str) -> Any:
    return lambda module, inputs, output: watch.see(name, inputs, output)


def _head(watch: Watch) -> int:
    """The place in `watch.order` of the layer that tells the classes apart; their number where none is known to.

    What a network makes of its last layer's outputs (a softmax, a scale, a mean over places) sees the logits, and is
    no feature. A last layer that the outputs are of has as many channels as there are classes.
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
    """Names of the layers of the highest level that has several."""
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
    """From the first layer with weights on."""
    has_weights, found = False, dict[str, Tensor]()
    for name in names:
        has_weights = has_weights or next(watch.modules[name].parameters(), None) is not None
        feature = watch.feature(name)
        if has_weights and feature is not None and feature is not watch.logits:
            found[name] = feature
    return found


def _stages(watch: Watch, shapes: dict[str, Shape]) -> tuple[str, ...]:
    """The last map of each size, but for tokens that have become a map again, as within the blocks of Swin."""
    sizes, before = dict[tuple[int, ...], str](), (0, 0)
    for name, (channels, *size) in shapes.items():
        places = prod(size)
        if places > 1 and not _is_no_map(watch, name, shapes[name], before):
            again = {each for each in sizes if each == tuple(size) or (size[1] > 1 and prod(each) == places)}
            sizes = {each: of for each, of in sizes.items() if each not in again} | {tuple(size): name}
            before = channels, places
    return tuple(sizes.values())


def _is_no_map(watch: Watch, name: str, shape: Shape, before: tuple[int, int]) -> bool:
    """Whether what looks like a map has its channels elsewhere, of which its layers say nothing, or has none.

    That is [height, width, channels]; [channels, places] where tokens are mixed with each other, as in MLP-Mixer; and
    attention's weights, [heads, places, places]. `before` is channels and places of the map before it.
    """
    channels, height, width = shape
    is_last = channels == height != width > 1 and channels != watch.made[name].units
    is_turned = width == 1 and channels != height and (height, channels) == before
    return is_last or is_turned or channels < before[1] == height == width


def _is_same(watch: Watch, name: str, feature: Tensor, seen: Tensor) -> bool:
    """Whether what was seen is what a module put out, in whatever shape, and nobody has written to it since."""
    is_there = feature.numel() == seen.numel() and feature.data_ptr() == seen.data_ptr() != 0
    return is_there and watch.versions[name] == seen._version
