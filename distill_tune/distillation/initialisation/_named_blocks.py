"""Find the first blocks of any PyTorch network by the names in its state dict.

A block is a child of an outermost `nn.Sequential` or `nn.ModuleList`: a stage of a timm network (`blocks.0`), a layer
of a Hugging Face encoder (`encoder.layer.0`). What precedes a block (the patch or word embedding, a class token)
belongs to it; what follows the last is the head. So the first blocks of a shallower network built by the same code have
the names and shapes of the deeper one's.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

_HEAD = -1
"""Number of the entries that follow the last block."""


def entries_of_first(network: nn.Module, blocks: int) -> list[str]:
    """Names in the state dict of the first `blocks` blocks, with what precedes each."""
    return [name for name, number in _numbered(network) if number != _HEAD and number < blocks]


def number_of_blocks(network: nn.Module) -> int:
    """Number of blocks that a network has before its head."""
    return 1 + max((number for _, number in _numbered(network)), default=_HEAD)


def _numbered(network: nn.Module) -> list[tuple[str, int]]:
    """Each entry with the number of its block, counted from 0, or `_HEAD`."""
    units = list(_units(network, ""))
    if isinstance(network, nn.Sequential):  # its last layer is not a block
        units = [*units[:-1], (units[-1][0], False)] if units else units
    found, number = list[tuple[str, int]](), 0
    last = max((place for place, (_, is_block) in enumerate(units) if is_block), default=-1)
    for place, (names, is_block) in enumerate(units):
        found += [(name, _HEAD if place > last else number) for name in names]
        number += is_block
    return found


def _units(module: nn.Module, prefix: str) -> Iterator[tuple[list[str], bool]]:
    """The entries of each block, and of each module or tensor in between, in order; with whether it is a block."""
    if own := [f"{prefix}{name}" for name in _own_state(module)]:
        yield own, False
    is_list = isinstance(module, nn.Sequential | nn.ModuleList)
    for name, child in module.named_children():
        inside = [f"{prefix}{name}.{each}" for each in child.state_dict()]
        if is_list and inside:
            yield inside, True
        elif _has_list(child):
            yield from _units(child, f"{prefix}{name}.")
        elif inside:
            yield inside, False


def _own_state(module: nn.Module) -> dict[str, Tensor]:
    kept = module.state_dict()
    return {name: tensor for name, tensor in kept.items() if "." not in name}


def _has_list(module: nn.Module) -> bool:
    """Whether it is or contains a list of at least two modules with weights."""
    return any(
        sum(bool(child.state_dict()) for child in each.children()) > 1
        for each in module.modules()
        if isinstance(each, nn.Sequential | nn.ModuleList)
    )
