"""The chains of several students as one network: each layer a batched product, and the chain rule written out.

Lanes of one depth and of similar widths are a stack. In it a narrow layer is padded with zeros to the widest: a padded
unit has no weight in or out, so its output is f(0) = 0 and so are all gradients around it. What is padded stays exactly
zero, and the students are exactly what they are alone.

All weights of a lane are one row and its gradients another: an optimizer's step is a few calls, whatever the layers
are. The chain rule is written out because autograd would add up whole rows wherever it meets views of them, and what
is between the layers lies where it lay in the step before: making it anew, and joining what lanes of several
activations make, would take a tenth of a step.

Two things lie as the processor wants them. A batched product that is written into views of rows is done matrix by
matrix, so gradients are made in tensors of their own and laid into the rows by one copy. And logits lie class by class,
each over the whole batch: a softmax over classes then works on neighbouring samples at once, in half of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill_tune.distillation.lanes.chain import ACTIVATIONS, Activation, Chain

_SPREAD = 2.0
"""How many times the weights of its smallest student the largest of a stack may have: padding then costs no more than
another stack would."""


class _Layer(NamedTuple):
    """Views of some lanes' rows, or what is laid into these."""

    matrix: Tensor
    """[lanes, inputs, outputs]; of the last layer [lanes, outputs, inputs]."""
    bias: Tensor
    """[lanes, 1, outputs]; of the last layer [lanes, outputs, 1]."""


class _Hidden(NamedTuple):
    """What is between two layers of some lanes in a step."""

    sums: Tensor
    """[lanes, batch, units]: what the activation is given."""
    outputs: Tensor
    """Likewise; on the way back, when nobody needs them any more, the gradient by `sums`."""
    parts: list[tuple[Activation, Tensor, Tensor]]
    """The same by activation, each with its lanes of both."""


def stacked(chains: Sequence[Chain]) -> list[list[int]]:
    """The numbers of the chains by stack, and in it by activation: the order of the lanes of a `LaneNetwork`."""
    stacks: list[list[int]] = []
    for number in sorted(range(len(chains)), key=lambda n: (chains[n].depth, chains[n].num_weights)):
        chain, smallest = chains[number], chains[stacks[-1][0]] if stacks else None
        if smallest and smallest.depth == chain.depth and chain.num_weights <= _SPREAD * smallest.num_weights:
            stacks[-1].append(number)
        else:
            stacks.append([number])
    return [sorted(stack, key=lambda n: chains[n].activation.__name__) for stack in stacks]


class _Stack:
    """Neighbouring lanes of one depth."""

    def __init__(self, first: int, chains: Sequence[Chain]):
        self.chains, self.lanes = chains, slice(first, first + len(chains))
        layers = zip(*(chain.layers for chain in chains), strict=True)
        widths = [max(layer.out_features for layer in layer_of_each) for layer_of_each in layers]
        self._shapes = list(zip([chains[0].layers[0].in_features, *widths], widths, strict=False))
        self.num_weights = sum((inputs + 1) * outputs for inputs, outputs in self._shapes)
        self._runs = list(_runs(chains))

    def layers(self, rows: Tensor) -> list[_Layer]:
        """Where the layers lie in [all lanes, weights]."""
        parts = rows[self.lanes, : self.num_weights].split(self._sizes, 1)
        return [self._layer(number, *pair) for number, pair in enumerate(zip(parts[::2], parts[1::2], strict=True))]

    @property
    def _sizes(self) -> list[int]:
        """Numbers of each matrix and of each bias in turn."""
        return [size for inputs, outputs in self._shapes for size in (inputs * outputs, outputs)]

    def _layer(self, number: int, matrix: Tensor, bias: Tensor) -> _Layer:
        """A layer of its numbers, [lanes, ...] each."""
        inputs, outputs = self._shapes[number]
        if number == len(self._shapes) - 1:
            return _Layer(matrix.unflatten(1, (outputs, inputs)), bias.unsqueeze(2))
        return _Layer(matrix.unflatten(1, (inputs, outputs)), bias.unsqueeze(1))

    def bind(self, rows: Tensor, gradients: Tensor) -> None:
        """Work on these from now on."""
        self._layers, self._rows_of_gradients = self.layers(rows), gradients[self.lanes, : self.num_weights]
        self._parts = [rows.new_empty(len(self.chains), size) for size in self._sizes]
        pairs = zip(self._parts[::2], self._parts[1::2], strict=True)
        self._gradients = [self._layer(number, *pair) for number, pair in enumerate(pairs)]
        self.rest()

    def rest(self) -> None:
        """Give back the memory that steps need."""
        self._hidden, self._inputs = list[_Hidden](), list[Tensor]()

    def _make_room(self, batch: int) -> None:
        for _, units in self._shapes[:-1]:
            sums, outputs = self._layers[0].matrix.new_empty(2, len(self.chains), batch, units).unbind()
            runs = [(ACTIVATIONS[kind], sums[lanes], outputs[lanes]) for kind, lanes in self._runs]
            self._hidden.append(_Hidden(sums, outputs, runs))

    def forward(self, inputs: Tensor, logits: Tensor) -> None:
        """Set `logits`, [lanes, classes, batch], from [lanes, batch, features]; keeps what `backward` needs."""
        if not self._hidden:
            self._make_room(inputs.shape[1])
        self._inputs = [inputs, *(hidden.outputs for hidden in self._hidden)]
        for (matrix, bias), given, hidden in zip(self._layers, self._inputs, self._hidden, strict=False):
            torch.baddbmm(bias, given, matrix, out=hidden.sums)
            for activation, sums, outputs in hidden.parts:
                activation.forward(sums, outputs)
        torch.baddbmm(self._layers[-1].bias, self._layers[-1].matrix, self._inputs[-1].mT, out=logits)

    def backward(self, by_logits: Tensor) -> None:
        """Set the gradients from that by the logits, [lanes, classes, batch]."""
        torch.bmm(by_logits, self._inputs[-1], out=self._gradients[-1].matrix)
        torch.sum(by_logits, 2, keepdim=True, out=self._gradients[-1].bias)
        by_outputs, following = by_logits.mT, self._layers[-1].matrix
        for number in reversed(range(len(self._hidden))):
            hidden, by_layer = self._hidden[number], self._gradients[number]
            by_sums = torch.bmm(by_outputs, following, out=hidden.outputs)
            for activation, sums, own in hidden.parts:
                activation.backward(sums, own)
            torch.bmm(self._inputs[number].mT, by_sums, out=by_layer.matrix)
            torch.sum(by_sums, 1, keepdim=True, out=by_layer.bias)
            by_outputs, following = by_sums, self._layers[number].matrix.mT
        torch.cat(self._parts, 1, out=self._rows_of_gradients)


class LaneNetwork:
    """Inputs [lanes, batch, features] to logits [lanes, batch, classes]."""

    def __init__(self, chains: Sequence[Chain], device: torch.device):
        """`chains` are in the order of `stacked`, and of equally many inputs and classes."""
        self._stacks = [_Stack(numbers[0], chains[numbers[0] : numbers[-1] + 1]) for numbers in _neighbours(chains)]
        shape = len(chains), max(stack.num_weights for stack in self._stacks)
        self.num_classes = chains[0].layers[-1].out_features
        self._logits: Tensor | None = None
        self.rows, self.gradients = torch.zeros(shape, device=device), torch.zeros(shape, device=device)
        for stack in self._stacks:
            stack.bind(self.rows, self.gradients)
        for _, parameter, view in self.views(self.rows):
            view.copy_(parameter.detach())

    def views(self, rows: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Each lane's each parameter, and where it is in [lanes, weights], as a view in the parameter's own shape."""
        for stack in self._stacks:
            places = stack.layers(rows)
            for number, chain in enumerate(stack.chains):
                lane = stack.lanes.start + number
                for layer, place in zip(chain.layers, places, strict=True):
                    matrix = place.matrix[number] if layer is chain.layers[-1] else place.matrix[number].T
                    yield lane, layer.weight, matrix[: layer.out_features, : layer.in_features]
                    yield lane, layer.bias, place.bias[number].flatten()[: layer.out_features]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, until the next call, as a view of what lies class by class; keeps what `backward` needs."""
        if self._logits is None:
            self._logits = self.rows.new_empty(len(inputs), self.num_classes, inputs.shape[1])
        for stack in self._stacks:
            stack.forward(inputs[stack.lanes], self._logits[stack.lanes])
        return self._logits.mT

    def rest(self) -> None:
        """Give back the memory that steps need, until the next one."""
        self._logits = None
        for stack in self._stacks:
            stack.rest()

    def backward(self, by_logits: Tensor) -> None:
        """Set `gradients` from the gradient by the logits of the last `forward`; fastest where it lies as they do."""
        for stack in self._stacks:
            stack.backward(by_logits[stack.lanes].mT)


def _neighbours(chains: Sequence[Chain]) -> Iterator[list[int]]:
    """The numbers of the stacks of chains that are in order."""
    start = 0
    for stack in stacked(chains):
        yield list(range(start, start + len(stack)))
        start += len(stack)


def _runs(chains: Sequence[Chain]) -> Iterator[tuple[type[nn.Module], slice]]:
    """Neighbouring lanes with one activation."""
    first = 0
    for kind, alike in groupby(chains, key=lambda chain: chain.activation):
        last = first + len(list(alike))
        yield kind, slice(first, last)
        first = last
