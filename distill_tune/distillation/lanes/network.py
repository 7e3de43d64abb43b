"""The chains of several students as one network: each layer a batched product, and the chain rule written out.

Widths may differ: a narrow layer is padded with zeros to the widest. A padded unit has no weight in or out, so its
output is f(0) = 0 and so are all gradients around it: what is padded stays exactly zero, and the students are exactly
what they are alone. Depths may differ: lanes are in the order of their depth, the deepest first, so the lanes that
have a layer are the first ones, and those whose last hidden layer it was leave through a head.

All weights of a lane are one row and its gradients another: an optimizer's step is a few calls, whatever the layers
are. The chain rule is written out because autograd would add up whole rows wherever it meets views of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from distill_tune.distillation.lanes.chain import ACTIVATIONS, Chain


@dataclass(frozen=True)
class _Place:
    """Where a layer lies in the rows of some neighbouring lanes."""

    first: int
    last: int
    """The lanes: from `first` to before `last`."""
    inputs: int
    outputs: int
    start: int
    """Of the layer's matrix in a row; its bias follows."""

    @property
    def end(self) -> int:
        return self.start + (self.inputs + 1) * self.outputs

    def of(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Views of [lanes, weights]: the matrix [its lanes, inputs, outputs] and the bias [its lanes, 1, outputs]."""
        middle = self.start + self.inputs * self.outputs
        own = rows[self.first : self.last]
        return own[:, self.start : middle].unflatten(1, (self.inputs, self.outputs)), own[:, None, middle : self.end]


class LaneNetwork:
    """Inputs [lanes, batch, features] to logits [lanes, batch, classes]."""

    def __init__(self, chains: Sequence[Chain], device: torch.device):
        """`chains` are in the order of their depth, the deepest first, of equally many inputs and classes."""
        self._chains = chains
        self._hidden = _hidden_places(chains)
        self._heads = _head_places(chains, self._hidden)
        self._runs = [_runs(chains[: place.last]) for place in self._hidden]
        self.rows, self.gradients = (
            torch.zeros(len(chains), max(head.end for head in self._heads.values()), device=device) for _ in range(2)
        )
        self._weights, self._weight_gradients = (self._by_layer(rows) for rows in (self.rows, self.gradients))
        for _, parameter, view in self.views(self.rows):
            view.copy_(parameter.detach())

    def views(self, rows: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Each lane's each parameter, and where it is in [lanes, weights], as a view in the parameter's own shape."""
        for lane, chain in enumerate(self._chains):
            places = [*self._hidden[: chain.depth], self._heads[chain.depth]]
            for layer, place in zip(chain.layers, places, strict=True):
                matrix, bias = (part[lane - place.first] for part in place.of(rows))
                yield lane, layer.weight, matrix[: layer.in_features, : layer.out_features].T
                yield lane, layer.bias, bias[0, : layer.out_features]

    def _by_layer(self, rows: Tensor) -> tuple[list[tuple[Tensor, Tensor]], dict[int, tuple[Tensor, Tensor]]]:
        return [place.of(rows) for place in self._hidden], {d: place.of(rows) for d, place in self._heads.items()}

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits; keeps what `backward` needs."""
        hidden, heads = self._weights
        self._outputs, self._sums = [inputs], list[Tensor]()
        for place, runs, (matrix, bias) in zip(self._hidden, self._runs, hidden, strict=True):
            self._sums.append(torch.baddbmm(bias, self._outputs[-1][: place.last], matrix))
            sums = self._sums[-1]
            self._outputs.append(_joined([ACTIVATIONS[kind].forward(sums[lanes]) for kind, lanes in runs]))
        return _joined(
            [
                torch.baddbmm(bias, self._outputs[depth][self._heads[depth].first :], matrix)
                for depth, (matrix, bias) in heads.items()
            ]
        )

    def backward(self, by_logits: Tensor) -> None:
        """Set `gradients` from the gradient by the logits of the last `forward`."""
        hidden, heads = self._weights
        hidden_gradients, head_gradients = self._weight_gradients
        by_output: list[Tensor] = []
        """Of the lanes that have come so far down the chain: those of deeper students, and those that begin here."""
        for depth in range(len(self._hidden), 0, -1):
            if depth in heads:
                place = self._heads[depth]
                own = by_logits[place.first : place.last]
                _set_gradients(head_gradients[depth], self._outputs[depth][place.first :], own)
                by_output.append(torch.bmm(own, heads[depth][0].mT))
            whole, sums = _joined(by_output), self._sums[depth - 1]
            runs = self._runs[depth - 1]
            by_sum = _joined([ACTIVATIONS[kind].backward(whole[lanes], sums[lanes]) for kind, lanes in runs])
            _set_gradients(hidden_gradients[depth - 1], self._outputs[depth - 1][: len(by_sum)], by_sum)
            by_output = [torch.bmm(by_sum, hidden[depth - 1][0].mT)] if depth > 1 else []


def _hidden_places(chains: Sequence[Chain]) -> list[_Place]:
    places: list[_Place] = []
    start, inputs = 0, chains[0].layers[0].in_features
    for layer in range(chains[0].depth):
        having = [chain for chain in chains if chain.depth > layer]
        width = max(chain.layers[layer].out_features for chain in having)
        places.append(_Place(0, len(having), inputs, width, start))
        start, inputs = places[-1].end, width
    return places


def _head_places(chains: Sequence[Chain], hidden: Sequence[_Place]) -> dict[int, _Place]:
    """Depth to the head of the lanes that are so deep; heads begin at one place, since no lane has two."""
    places, first = {}, 0
    for depth, alike in groupby(chains, key=lambda chain: chain.depth):
        last = first + len(list(alike))
        places[depth] = _Place(
            first, last, hidden[depth - 1].outputs, chains[0].layers[-1].out_features, hidden[-1].end
        )
        first = last
    return places


def _runs(chains: Sequence[Chain]) -> list[tuple[type[nn.Module], slice]]:
    """Neighbouring lanes with one activation."""
    runs, first = [], 0
    for kind, alike in groupby(chains, key=lambda chain: chain.activation):
        last = first + len(list(alike))
        runs.append((kind, slice(first, last)))
        first = last
    return runs


def _joined(parts: list[Tensor]) -> Tensor:
    """Lanes one after the other, without a copy where it is one part."""
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _set_gradients(gradients: tuple[Tensor, Tensor], inputs: Tensor, by_outputs: Tensor) -> None:
    """Of a layer: of its matrix and its bias, in place."""
    torch.bmm(inputs.mT, by_outputs, out=gradients[0])
    torch.sum(by_outputs, 1, keepdim=True, out=gradients[1])
