"""How the layers of a network hang together, as its family says it: which units each layer reads, and which it makes.

A *group* is the units that several layers share: what one convolution makes, its normalisation scales, and the next one
reads; or the stream of a residual stage, into which every block of it writes. Cutting a network down means to choose
units of each group once, and to follow all layers that touch it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from distill_tune.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor, nn

INPUT, CLASSES = 0, 1
"""The groups of the input and of the logits: the same units, in the same order, in every network for the same data."""

Place = tuple[str, int, int]
"""Where a layer is: `STEM`, `body(stage, block)` or `HEAD`."""
STEM: Place = ("stem", 0, 0)
HEAD: Place = ("head", 0, 0)


def body(stage: int, block: int = 0) -> Place:
    """Between stem and head; stages, and the blocks of a stage, are counted from 0."""
    return "body", stage, block


@dataclass(frozen=True)
class Layer:
    """A module with a weight [units that it makes, units that it reads, ...] or [units], and what goes with it."""

    place: Place
    role: str
    """Tells the layers of one place apart, such as "first" and "second" of a block."""
    name: str
    """In the network's state dict, without ".weight"."""
    module: nn.Module
    inputs: int | None
    """The group that its columns read; None where it has one number, or one filter, for each unit that it makes."""
    outputs: int
    """The group of its rows."""


@dataclass
class Wiring:
    """The layers of a network, in the order in which they run.

    Of a network with one hidden layer, from 8 features to 4 classes:

        wiring = Wiring(network)
        hidden = wiring.add(body(0), "main", "0", INPUT, wiring.new_group())  # nn.Linear(8, 32)
        wiring.add(HEAD, "main", "2", hidden, CLASSES)  # nn.Linear(32, 4)

    Of two networks of a family, layers of the same place and role are counterparts; where there are more stages, or
    blocks of a stage, in one of them, these are taken evenly spaced. A weight of no layer begins as drawn.
    """

    network: nn.Module
    """What the family has built."""
    layers: list[Layer] = field(default_factory=list, init=False)
    sizes: dict[int, int] = field(default_factory=dict, init=False)
    """Group to number of units, as its layers have it."""
    _groups: int = field(default=2, init=False, repr=False)

    def new_group(self) -> int:
        """Another group of units; a layer that makes it says how many."""
        self._groups += 1
        return self._groups - 1

    def add(self, place: Place, role: str, name: str, inputs: int | None, outputs: int) -> int:
        """Add a layer, a module of the network.

        Args:
            place: `STEM`, `HEAD`, a place that is there already, or the next block or stage.
            role: tells it from the others of its place; the same in every network of the family.
            name: of the module, which the forward pass calls; its weight is [units of `outputs`, units of `inputs`,
                ...] or [units of `outputs`].
            inputs: the group that it reads; None for a normalisation and for one filter a channel.
            outputs: the group that it makes; of a normalisation the one that it normalises.

        Returns:
            `outputs`.

        Raises:
            ConfigError: it has no weight, is there already, or does not fit its place or its groups.
        """
        module = self.network.get_submodule(name)
        weight = getattr(module, "weight", None)
        if weight is None:
            raise ConfigError(f"{name!r} must have a weight, but is {type(module).__name__}.")
        if any(name == each.name or (place, role) == (each.place, each.role) for each in self.layers):
            raise ConfigError(f"{name!r} as {role!r} of {place}: the name, or the role there, is taken.")
        self._check_is_not_shared(name, module, weight)
        self._check_place(name, place)
        self._check_inputs(name, inputs, weight)
        self._check_size(name, "makes", outputs, weight.shape[0])
        if inputs is not None:
            self._check_size(name, "reads", inputs, weight.shape[1])
        self.layers.append(Layer(place, role, name, module, inputs, outputs))
        return outputs

    def _check_is_not_shared(self, name: str, module: nn.Module, weight: Tensor) -> None:
        for each in self.layers:
            if each.module is module or each.module.weight is weight:  # it would be carried over, and scaled, twice
                raise ConfigError(
                    f"{name!r} must have a weight of its own, but has that of {each.name!r}; add one of them."
                )

    def _check_inputs(self, name: str, inputs: int | None, weight: Tensor) -> None:
        if inputs is not None and weight.dim() < 2:
            raise ConfigError(f"{name!r} has one number a unit, so its inputs must be None, but got {inputs}.")
        if inputs is None and weight.dim() > 1 and weight.shape[1] != 1:
            raise ConfigError(
                f"{name!r} has {weight.shape[1]} columns a unit, so its inputs must be the group that they read, but "
                "got None."
            )

    def _check_place(self, name: str, place: Place) -> None:
        known = {layer.place for layer in self.layers}
        _, stage, block = max((each for each in known if each[0] == "body"), default=body(-1))
        following = [body(stage + 1), *([body(stage, block + 1)] if stage >= 0 else [])]
        if place not in {STEM, HEAD, *known, *following}:
            raise ConfigError(f"{name!r} must be at {STEM}, {HEAD}, or the next place {following}, but got {place}.")

    def _check_size(self, name: str, does: str, group: int, units: int) -> None:
        if not 0 <= group < self._groups:
            raise ConfigError(f"{name!r} {does} group {group}, which new_group has not given.")
        if units != self.sizes.setdefault(group, units):
            raise ConfigError(f"{name!r} {does} {units} units of group {group}, which has {self.sizes[group]}.")
