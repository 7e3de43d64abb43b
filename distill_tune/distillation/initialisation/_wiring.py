"""How the layers of our families hang together: which group of units each layer reads, and which it makes.

A *space* is a group of units that several layers share: what one convolution makes, its normalisation scales, and the
next one reads; or the stream of a residual stage, into which every block of it writes. Cutting a network down means to
choose units of each space once, and to follow all layers that touch it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import nn

from distill_tune.config import Config
from distill_tune.errors import ConfigError
from distill_tune.students._blocks import ResidualBlock, ResidualRow

KNOWN = ("mlp", "convnet", "resnet")
INPUT, CLASSES = 0, 1
"""The spaces of the input and of the logits: the same units, in the same order, in every network for the same data."""

Place = tuple[str, int, int]
"""Where a layer is: ("stem", 0, 0), ("body", stage, block) or ("head", 0, 0)."""


@dataclass(frozen=True)
class Layer:
    """A module with weights."""

    place: Place
    role: str
    """Tells the layers of one place apart, such as "first" and "second" of a block."""
    name: str
    """In the network's state dict, without ".weight"."""
    module: nn.Module
    inputs: int | None
    """The space that its columns read; None where it has a number, or a filter, for each unit that it makes."""
    outputs: int
    """The space of its rows."""


@dataclass
class Wiring:
    """The layers of a network, in the order in which they run."""

    layers: list[Layer] = field(default_factory=list)
    spaces: int = 2

    def new_space(self) -> int:
        """Another space."""
        self.spaces += 1
        return self.spaces - 1

    def add(self, place: Place, role: str, name: str, module: nn.Module, inputs: int | None, outputs: int) -> int:
        """Add a layer; returns the space that it makes."""
        self.layers.append(Layer(place, role, name, module, inputs, outputs))
        return outputs


def check_known(config: Config) -> None:
    """Refuse a family whose layers are not known here.

    Raises:
        ConfigError: it is a user's own.
    """
    if config.student.family not in KNOWN:
        raise ConfigError(
            f"student.init: {config.student.init!r} knows the layers of {', '.join(KNOWN)}, but not those of "
            f"{config.student.family!r}; choose another init."
        )


def wiring_of(network: nn.Module) -> Wiring:
    """The wiring of a network of a known family, without the normalisation of its inputs."""
    children = list(network.named_children())
    residual = any(isinstance(module, ResidualBlock | ResidualRow) for _, module in children)
    return _residual(children) if residual else _plain(children)


def first_layers(network: nn.Module) -> list[list[nn.Module]]:
    """The modules with weights of each layer before the head: of a stage, of the stem, or of a block."""
    found: dict[Place, list[nn.Module]] = {}
    for layer in wiring_of(network).layers:
        found.setdefault(layer.place, []).append(layer.module)
    return [modules for (part, _, _), modules in found.items() if part != "head"]


def _plain(children: list[tuple[str, nn.Module]]) -> Wiring:
    """The wiring of an mlp or a convnet: one stage after the other."""
    wiring, space, stage, role = Wiring(), INPUT, -1, ""
    last = [name for name, module in children if isinstance(module, nn.Linear)][-1]
    for name, module in children:
        if name == last:
            wiring.add(("head", 0, 0), "head", name, module, space, CLASSES)
        elif isinstance(module, nn.Conv2d) and module.groups > 1:
            stage, role = stage + 1, "depthwise"
            wiring.add(("body", stage, 0), role, name, module, None, space)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            mixes = role == "depthwise"
            stage, role = stage + (not mixes), "mix" if mixes else "main"
            space = wiring.add(("body", stage, 0), role, name, module, space, wiring.new_space())
        elif isinstance(module, nn.BatchNorm2d):
            wiring.add(("body", stage, 0), f"{role}.norm", name, module, None, space)
    return wiring


def _residual(children: list[tuple[str, nn.Module]]) -> Wiring:
    """The wiring of a resnet: stem, blocks, head."""
    wiring, space, stage, block = Wiring(), INPUT, 0, -1
    for name, module in children:
        if isinstance(module, ResidualBlock):
            begins_stage = not isinstance(module.shortcut, nn.Identity) and block >= 0
            stage, block = (stage + 1, 0) if begins_stage else (stage, block + 1)
            space = _image_block(wiring, ("body", stage, block), name, module, space)
        elif isinstance(module, ResidualRow):
            block += 1
            _row_block(wiring, ("body", 0, block), name, module, space)
        elif isinstance(module, nn.Conv2d | nn.Linear):
            made = wiring.new_space() if space == INPUT else CLASSES
            place: Place = ("stem", 0, 0) if space == INPUT else ("head", 0, 0)
            space = wiring.add(place, "main", name, module, space, made)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            part = "stem" if block < 0 else "head"
            wiring.add((part, 0, 0), "norm", name, module, None, space)
    return wiring


def _image_block(wiring: Wiring, place: Place, name: str, block: ResidualBlock, space: int) -> int:
    first, first_norm, _, second, second_norm = block.convolutions
    keeps = isinstance(block.shortcut, nn.Identity)
    inner, made = wiring.new_space(), space if keeps else wiring.new_space()
    inside = f"{name}.convolutions"
    wiring.add(place, "first", f"{inside}.0", first, space, inner)
    wiring.add(place, "first.norm", f"{inside}.1", first_norm, None, inner)
    wiring.add(place, "second", f"{inside}.3", second, inner, made)
    wiring.add(place, "second.norm", f"{inside}.4", second_norm, None, made)
    if isinstance(block.shortcut, nn.Sequential):
        wiring.add(place, "shortcut", f"{name}.shortcut.0", block.shortcut[0], space, made)
        wiring.add(place, "shortcut.norm", f"{name}.shortcut.1", block.shortcut[1], None, made)
    return made


def _row_block(wiring: Wiring, place: Place, name: str, block: ResidualRow, space: int) -> None:
    inner = wiring.new_space()
    wiring.add(place, "norm", f"{name}.layers.0", block.layers[0], None, space)
    wiring.add(place, "first", f"{name}.layers.1", block.layers[1], space, inner)
    wiring.add(place, "second", f"{name}.layers.4", block.layers[4], inner, space)


def counterparts(ours: Wiring, theirs: Wiring) -> Iterator[tuple[Layer, Layer]]:
    """Each layer of `ours` with its counterpart in `theirs`, if any; stages, and a stage's blocks, evenly spaced."""
    by_place = {(layer.place, layer.role): layer for layer in theirs.layers}
    at = _evenly(ours, theirs)
    for layer in ours.layers:
        if (found := by_place.get((at(layer.place), layer.role))) is not None:
            yield layer, found


def _evenly(ours: Wiring, theirs: Wiring) -> Callable[[Place], Place]:
    our_blocks, their_blocks = _blocks(ours), _blocks(theirs)

    def at(place: Place) -> Place:
        part, stage, block = place
        if part != "body":
            return place
        their_stage = evenly_spaced(stage, len(our_blocks), len(their_blocks))
        return part, their_stage, evenly_spaced(block, our_blocks[stage], their_blocks[their_stage])

    return at


def _blocks(wiring: Wiring) -> list[int]:
    """How many blocks each stage has."""
    places = {layer.place for layer in wiring.layers if layer.place[0] == "body"}
    stages = 1 + max(stage for _, stage, _ in places)
    return [sum(place[1] == stage for place in places) for stage in range(stages)]


def evenly_spaced(index: int, count: int, of: int) -> int:
    """Which of `of` layers layer `index` of `count` takes: the first the first, the last the last."""
    return 0 if count == 1 else (2 * index * (of - 1) + count - 1) // (2 * (count - 1))
