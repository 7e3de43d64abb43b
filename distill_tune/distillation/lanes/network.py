"""The chains of several students as one network: each layer is a batched product, with a hand-written backward pass.

Lanes of equal depth and similar widths form a stack. In it, narrow layers are padded with zeros to the widest: a padded
unit has no weights in or out, so its output is f(0) = 0 and so are all gradients around it. Padding stays exactly zero,
and the students are exactly what they would be alone.

All weights of a lane are one row and its gradients another, so an optimizer step is a few calls, whatever the layers.
Backward is hand-written because autograd would accumulate whole rows wherever it meets views of them. Activations are
kept in the same buffers at every step: allocating them, and concatenating the outputs of lanes with different
activations, would take a tenth of a step.

Two memory layouts suit the processor. A batched product written into views of rows runs matrix by matrix, so gradients
are computed in separate tensors and copied into the rows at once. And logits are stored class by class, each over the
whole batch: softmax over classes then works on adjacent samples at once, in half the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor, nn

from distill_tune.distillation.lanes.chain import ACTIVATIONS, Activation, Chain

_SPREAD = 2.0
"""Maximum ratio of the weights of a stack's largest student to its smallest: padding then costs no more than another
stack would."""


class _Layer(NamedTuple):
    """Views of some lanes' rows, or tensors to be copied into these."""

    matrix: Tensor
    """[lanes, inputs, outputs]; for the last layer [lanes, outputs, inputs]."""
    bias: Tensor
    """[lanes, 1, outputs]; for the last layer [lanes, outputs, 1]."""


class _Hidden(NamedTuple):
    """The hidden units of one layer of some lanes in a step."""

    sums: Tensor
    """[lanes, batch, units]: inputs of the activation."""
    outputs: Tensor
    """[lanes, batch, units]: its outputs; in backward, once they are no longer needed, the gradient by `sums`."""
    parts: list[tuple[Activation, Tensor, Tensor]]
    """Each activation with its lanes' `sums` and `outputs`."""


def stacked(chains: Sequence[Chain]) -> list[list[int]]:
    """The chains' numbers by stack, sorted by activation in each: the order of the lanes of a `LaneNetwork`."""
    stacks: list[list[int]] = []
    for number in sorted(range(len(chains)), key=lambda n: (chains[n].depth, chains[n].num_weights)):
        chain, smallest = chains[number], chains[stacks[-1][0]] if stacks else None
        if smallest and smallest.depth == chain.depth and chain.num_weights <= _SPREAD * smallest.num_weights:
            stacks[-1].append(number)
        else:
            stacks.append([number])
    return [sorted(stack, key=lambda n: chains[n].activation.__name__) for stack in stacks]


class _Stack:
    """Adjacent lanes of equal depth."""

    def __init__(self, first: int, chains: Sequence[Chain]):
        self.chains, self.lanes = chains, slice(first, first + len(chains))
        layers = zip(*(chain.layers for chain in chains), strict=True)
        widths = [max(layer.out_features for layer in layer_of_each) for layer_of_each in layers]
        self._shapes = list(zip([chains[0].layers[0].in_features, *widths], widths, strict=False))
        self.num_weights = sum((inputs + 1) * outputs for inputs, outputs in self._shapes)
        self._runs = list(_runs(chains))

    def layers(self, rows: Tensor) -> list[_Layer]:
        """The layers as views of rows, [all lanes, weights]."""
        parts = rows[self.lanes, : self.num_weights].split(self._sizes, 1)
        return [self._layer(number, *pair) for number, pair in enumerate(zip(parts[::2], parts[1::2], strict=True))]

    @property
    def _sizes(self) -> list[int]:
        """Number of elements of each matrix and bias in turn."""
        return [size for inputs, outputs in self._shapes for size in (inputs * outputs, outputs)]

    def _layer(self, number: int, matrix: Tensor, bias: Tensor) -> _Layer:
        """A layer from its flat matrix and bias, [lanes, ...] each."""
        inputs, outputs = self._shapes[number]
        if number == len(self._shapes) - 1:
            return _Layer(matrix.unflatten(1, (outputs, inputs)), bias.unsqueeze(2))
        return _Layer(matrix.unflatten(1, (inputs, outputs)), bias.unsqueeze(1))

    def bind(self, rows: Tensor, gradients: Tensor) -> None:
        """Use these tensors from now on."""
        self._layers, self._rows_of_gradients = self.layers(rows), gradients[self.lanes, : self.num_weights]
        self._parts = [rows.new_empty(len(self.chains), size) for size in self._sizes]
        pairs = zip(self._parts[::2], self._parts[1::2], strict=True)
        self._gradients = [self._layer(number, *pair) for number, pair in enumerate(pairs)]
        self.rest()

    def rest(self) -> None:
        """Free the memory that steps use."""
        self._hidden, self._inputs = list[_Hidden](), list[Tensor]()

    def _make_room(self, batch: int) -> None:
        for _, units in self._shapes[:-1]:
            sums, outputs = self._layers[0].matrix.new_empty(2, len(self.chains), batch, units).unbind()
            runs = [(ACTIVATIONS[kind], sums[lanes], outputs[lanes]) for kind, lanes in self._runs]
            self._hidden.append(_Hidden(sums, outputs, runs))

    def forward(self, inputs: Tensor, logits: Tensor) -> None:
        """Set `logits` [lanes, classes, batch] from `inputs` [lanes, batch, features]; keep what `backward` needs."""
        if not self._hidden:
            self._make_room(inputs.shape[1])
        self._inputs = [inputs, *(hidden.outputs for hidden in self._hidden)]
        for (matrix, bias), given, hidden in zip(self._layers, self._inputs, self._hidden, strict=False):
            torch.baddbmm(bias, given, matrix, out=hidden.sums)
            for activation, sums, outputs in hidden.parts:
                activation.forward(sums, outputs)
        torch.baddbmm(self._layers[-1].bias, self._layers[-1].matrix, self._inputs[-1].mT, out=logits)

    def backward(self, by_logits: Tensor) -> None:
        """Set the gradients from the gradient by the logits, [lanes, classes, batch]."""
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
    """Maps inputs [lanes, batch, features] to logits [lanes, batch, classes]."""

    def __init__(self, chains: Sequence[Chain], device: torch.device):
        """`chains` are in the order of `stacked`, with equal numbers of inputs and classes."""
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
        """Yield (lane, parameter, its view in `rows`): [lanes, weights] in the parameter's own shape."""
        for stack in self._stacks:
            places = stack.layers(rows)
            for number, chain in enumerate(stack.chains):
                lane = stack.lanes.start + number
                for layer, place in zip(chain.layers, places, strict=True):
                    matrix = place.matrix[number] if layer is chain.layers[-1] else place.matrix[number].T
                    yield lane, layer.weight, matrix[: layer.out_features, : layer.in_features]
                    yield lane, layer.bias, place.bias[number].flatten()[: layer.out_features]

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits, valid until the next call, as a view of memory ordered by class; keeps what `backward` needs."""
        if self._logits is None:
            self._logits = self.rows.new_empty(len(inputs), self.num_classes, inputs.shape[1])
        for stack in self._stacks:
            stack.forward(inputs[stack.lanes], self._logits[stack.lanes])
        return self._logits.mT

    def rest(self) -> None:
        """Free the memory that steps use, until the next step."""
        self._logits = None
        for stack in self._stacks:
            stack.rest()

    def backward(self, by_logits: Tensor) -> None:
        """Set `gradients` from the gradient by the last `forward`'s logits; fastest in the logits' memory layout."""
        for stack in self._stacks:
            stack.backward(by_logits[stack.lanes].mT)


def _neighbours(chains: Sequence[Chain]) -> Iterator[list[int]]:
    """Yield the lane numbers of each stack, for chains in the order of `stacked`."""
    start = 0
    for stack in stacked(chains):
        yield list(range(start, start + len(stack)))
        start += len(stack)


def _runs(chains: Sequence[Chain]) -> Iterator[tuple[type[nn.Module], slice]]:
    """Yield each activation with the slice of adjacent lanes that use it."""
    first = 0
    for kind, alike in groupby(chains, key=lambda chain: chain.activation):
        last = first + len(list(alike))
        yield kind, slice(first, last)
        first = last
