"""How the layers of a network are connected, as declared by its family: which units each layer reads and makes.

A *group* is a set of units that several layers share: those that one convolution makes, its normalisation scales and
the next one reads; or the stream of a residual stage, into which all of its blocks write. To cut a network down, units
of each group are chosen once, and all layers that touch the group follow.
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
"""Position of a layer: `STEM`, `body(stage, block)` or `HEAD`."""
STEM: Place = ("stem", 0, 0)
HEAD: Place = ("head", 0, 0)


def body(stage: int, block: int = 0) -> Place:
    """A place between stem and head; stages, and the blocks of a stage, are counted from 0."""
    return "body", stage, block


@dataclass(frozen=True)
class Layer:
    """A module with a weight [units that it makes, units that it reads, ...] or [units], and its connections."""

    place: Place
    role: str
    """Distinguishes the layers of one place, such as "first" and "second" of a block."""
    name: str
    """Name in the network's state dict, without ".weight"."""
    module: nn.Module
    inputs: int | None
    """The group that its columns read; None if it has one number, or one filter, per unit that it makes."""
    outputs: int
    """The group that its rows make."""


@dataclass
class Wiring:
    """The layers of a network, in the order in which they run.

    For a network with one hidden layer, from 8 features to 4 classes:

        wiring = Wiring(network)
        hidden = wiring.add(body(0), "main", "0", INPUT, wiring.new_group())  # nn.Linear(8, 32)
        wiring.add(HEAD, "main", "2", hidden, CLASSES)  # nn.Linear(32, 4)

    In two networks of a family, layers of the same place and role are counterparts; if one has more stages, or blocks
    in a stage, evenly spaced ones are used. Weights that belong to no layer keep their random initialisation.
    """

    network: nn.Module
    """The network that the family built."""
    layers: list[Layer] = field(default_factory=list, init=False)
    sizes: dict[int, int] = field(default_factory=dict, init=False)
    """Number of units per group, as found in the layers."""
    _groups: int = field(default=2, init=False, repr=False)

    def new_group(self) -> int:
        """A new group of units; its size is set by the layer that makes it."""
        self._groups += 1
        return self._groups - 1

    def add(self, place: Place, role: str, name: str, inputs: int | None, outputs: int) -> int:
        """Add a layer, a module of the network.

        Args:
            place: `STEM`, `HEAD`, an existing place, or the next block or stage.
            role: distinguishes it from others at its place; the same in every network of the family.
            name: name of the module, which the forward pass calls; its weight is [units of `outputs`, units of
                `inputs`, ...] or [units of `outputs`].
            inputs: the group that it reads; None for a normalisation and for depthwise convolutions.
            outputs: the group that it makes; for a normalisation, the one that it normalises.

        Returns:
            `outputs`.

        Raises:
            ConfigError: it has no weight, was added already, or does not fit its place or its groups.
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
            if each.module is module or each.module.weight is weight:  # it would be transferred, and scaled, twice
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
