"""Carry a teacher's largest units into a narrower network of the same family; see `inherit.py` for the rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_tune.distillation.initialisation._counterparts import counterparts
from distill_tune.students import CLASSES, INPUT, Layer, Wiring


@dataclass(frozen=True)
class Pair:
    """A layer of the student and the teacher's layer that it inherits from."""

    ours: Layer
    theirs: Layer
    units: Tensor
    """int64 [n]: the teacher's units that become the student's first n, largest first."""


@dataclass(frozen=True)
class Carried:
    """The layers and units that have been carried over."""

    pairs: list[Pair]
    is_whole: bool
    """Whether the networks differ only in their weights, so that nothing has to be corrected."""

    @property
    def inherited_rows(self) -> dict[str, int]:
        """Number of inherited first rows by the student's parameter name, without the layers that make the logits."""
        return {
            f"network.{pair.ours.name}.{name}": len(pair.units)
            for pair in self.pairs
            if pair.ours.outputs != CLASSES
            for name, _ in pair.ours.module.named_parameters()
        }


@torch.no_grad()
def carry(theirs: Wiring, ours: Wiring, may_be_alike: bool) -> Carried:
    """Copy the teacher's largest units into the student's first ones, in the networks of the two wirings.

    Args:
        theirs: the teacher's.
        ours: the student's; its network is changed in place.
        may_be_alike: whether networks with the same `repr` differ only in their weights.
    """
    ranks = ranks_of(theirs)
    pairs = []
    for our_layer, their_layer in counterparts(ours, theirs):
        units = ranks[their_layer.outputs][: len(weight_of(our_layer))]
        columns = None if their_layer.inputs is None else ranks[their_layer.inputs]
        _copy(our_layer.module, their_layer.module, units, columns)
        pairs.append(Pair(our_layer, their_layer, units))
    return Carried(pairs, may_be_alike and repr(theirs.network) == repr(ours.network))


def ranks_of(wiring: Wiring) -> dict[int, Tensor]:
    """Each group's units, int64, largest first; inputs and logits keep their order."""
    ranks = {}
    device = next(wiring.network.parameters()).device
    for group, size in wiring.sizes.items():
        connections = list(_squares(wiring, group))
        if group in (INPUT, CLASSES) or not connections:
            ranks[group] = torch.arange(size, device=device)
        else:
            ranks[group] = torch.stack(connections).sum(0).argsort(descending=True, stable=True)
    return ranks


def _squares(wiring: Wiring, group: int) -> Iterator[Tensor]:
    """For each layer that touches the group, the sum of squares of its weights there: float64 [units]."""
    for layer in wiring.layers:
        weight = weight_of(layer).double()
        if weight.dim() == 1:  # a normalisation's scale is not a connection
            continue
        if layer.outputs == group:
            yield weight.flatten(1).square().sum(1)
        if layer.inputs == group:
            yield weight.transpose(0, 1).flatten(1).square().sum(1)


def weight_of(layer: Layer) -> Tensor:
    """The layer's weight, [units, ...]."""
    weight = layer.module.weight
    assert isinstance(weight, Tensor)
    return weight


def _copy(ours: nn.Module, theirs: nn.Module, units: Tensor, columns: Tensor | None) -> None:
    """Copy parameters and batch statistics of the chosen units."""
    source = theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        if name not in source or tensor.dim() == 0:
            continue
        rows = source[name][units]
        if tensor.dim() > 1 and columns is not None:
            rows = rows[:, columns[: tensor.shape[1]]]
            rows = _fitted(rows, tensor.shape[2:])
            tensor[: len(rows), : rows.shape[1]] = rows
        else:
            tensor[: len(rows)] = _fitted(rows, tensor.shape[2:]) if tensor.dim() > 1 else rows


def _fitted(kernels: Tensor, size: torch.Size) -> Tensor:
    """Kernels [..., height, width] cropped to their middle or zero-padded to another size."""
    for axis, wanted in enumerate(size, start=2):
        more = wanted - kernels.shape[axis]
        padding = [0, 0] * (kernels.dim() - 1 - axis) + [more // 2, more - more // 2]
        kernels = F.pad(kernels, padding)
    return kernels
