"""The first blocks of any PyTorch network, by the names in its state dict.

A block is a child of an outermost `nn.Sequential` or `nn.ModuleList`: a stage of a timm network (`blocks.0`), a layer
of a Hugging Face encoder (`encoder.layer.0`). What stands before a block (the patch or word embedding, a class token)
belongs to it; what stands behind the last is the head. So the first blocks of a shallower network of the same code have
the names, and the shapes, of the deeper one's.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

_HEAD = -1
"""The number of what stands behind the last block."""


def entries_of_first(network: nn.Module, blocks: int) -> list[str]:
    """Names in the state dict of the first `blocks` blocks and of what stands before them."""
    return [name for name, number in _numbered(network) if number != _HEAD and number < blocks]


def number_of_blocks(network: nn.Module) -> int:
    """How many blocks a network has before its head."""
    return 1 + max((number for _, number in _numbered(network)), default=_HEAD)


def _numbered(network: nn.Module) -> list[tuple[str, int]]:
    """Each entry with the number of its block from 0 on, or `_HEAD`."""
    units = list(_units(network, ""))
    if isinstance(network, nn.Sequential):  # its last layer is no block
        units = [*units[:-1], (units[-1][0], False)] if units else units
    found, number = list[tuple[str, int]](), 0
    last = max((place for place, (_, is_block) in enumerate(units) if is_block), default=-1)
    for place, (names, is_block) in enumerate(units):
        found += [(name, _HEAD if place > last else number) for name in names]
        number += is_block
    return found


def _units(module: nn.Module, prefix: str) -> Iterator[tuple[list[str], bool]]:
    """In order: the entries of each block, and of each module or tensor between them; and whether it is a block."""
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
    """Whether a list of at least two modules with weights is in it, or is it."""
    return any(
        sum(bool(child.state_dict()) for child in each.children()) > 1
        for each in module.modules()
        if isinstance(each, nn.Sequential | nn.ModuleList)
    )
