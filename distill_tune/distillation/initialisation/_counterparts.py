"""Match two wirings of one family: which layer of the teacher each layer of the student takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from distill_tune.students import HEAD, Layer, Place, Wiring

if TYPE_CHECKING:
    from torch import nn


def first_layers(wiring: Wiring) -> list[list[nn.Module]]:
    """The modules with weights at each place before the head: the stem, or a block of a stage."""
    found: dict[Place, list[nn.Module]] = {}
    for layer in wiring.layers:
        found.setdefault(layer.place, []).append(layer.module)
    return [modules for place, modules in found.items() if place != HEAD]


def first_shapes(wiring: Wiring, layers: int | None = None) -> list[list[tuple[int, ...]]]:
    """State dict shapes of the first `layers` layers, or of all of them."""
    states = [[module.state_dict() for module in layer] for layer in first_layers(wiring)[:layers]]
    return [[tuple(tensor.shape) for state in layer for tensor in state.values()] for layer in states]


def counterparts(ours: Wiring, theirs: Wiring) -> Iterator[tuple[Layer, Layer]]:
    """Pair each layer of `ours` with its counterpart in `theirs`, if any; stages and their blocks are evenly spaced."""
    by_place = {(layer.place, layer.role): layer for layer in theirs.layers}
    at = _evenly(ours, theirs)
    for layer in ours.layers:
        if (found := by_place.get((at(layer.place), layer.role))) is not None:
            yield layer, found


def _evenly(ours: Wiring, theirs: Wiring) -> Callable[[Place], Place]:
    our_blocks, their_blocks = _blocks(ours), _blocks(theirs)

    def at(place: Place) -> Place:
        part, stage, block = place
        if part != "body" or not their_blocks:
            return place
        their_stage = evenly_spaced(stage, len(our_blocks), len(their_blocks))
        return part, their_stage, evenly_spaced(block, our_blocks[stage], their_blocks[their_stage])

    return at


def _blocks(wiring: Wiring) -> list[int]:
    """Number of blocks in each stage."""
    places = {layer.place for layer in wiring.layers if layer.place[0] == "body"}
    stages = 1 + max((stage for _, stage, _ in places), default=-1)
    return [sum(place[1] == stage for place in places) for stage in range(stages)]


def evenly_spaced(index: int, count: int, of: int) -> int:
    """Index, among `of` layers, of the one that layer `index` of `count` takes; first takes first, last takes last."""
    return 0 if count == 1 else (2 * index * (of - 1) + count - 1) // (2 * (count - 1))
