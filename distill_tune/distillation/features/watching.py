"""Watch a network's modules in one pass: what each outputs, and on which axis its channels are.

Networks keep the channels of their maps first, as PyTorch's convolutions do, or last, as Swin and the blocks of
ConvNeXt do. The latest layer with weights shows which: it made as many channels as it has units.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

from distill_tune.distillation.features.tap import feature_of

_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
"""Exact types; a subclass, such as a LayerNorm for maps, may keep its channels first."""


class Made(NamedTuple):
    """The output of a layer with weights."""

    units: int = 0
    """Number of channels."""
    numbers: int = 0
    """Number of elements."""
    channels_last: bool = False
    """Whether a layer of this type keeps its channels last."""


@dataclass
class Watch:
    """What was recorded in one pass."""

    modules: dict[str, nn.Module]
    """The network's modules by name."""
    logits: Any = None
    """The output of the whole network."""
    order: list[str] = field(default_factory=list)
    """Modules that were called, in the order in which they finished; of several calls the last counts."""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    """Version of each output when its module finished: a function may write to it afterwards."""
    made: dict[str, Made] = field(default_factory=dict)
    """Output of the latest layer with weights when each module finished."""
    _latest: Made = field(default_factory=Made)

    def see(self, name: str, inputs: Any, output: Any) -> None:
        """Record that a module has finished."""
        if name in self.outputs:
            self.order.remove(name)
        self.order.append(name)
        self.inputs[name], self.outputs[name] = inputs, output
        self.versions[name] = output._version if isinstance(output, Tensor) else 0
        units = _units_of(self.modules[name])
        if isinstance(output, Tensor) and units in (*output.shape[1:2], *output.shape[-1:]):
            self._latest = Made(units, output.numel(), type(self.modules[name]) in _CHANNELS_LAST)
        self.made[name] = self._latest

    def feature(self, name: str) -> Tensor | None:
        """A module's output, channels first; None if it is not a feature."""
        if self._are_heads(name):
            return None
        feature = feature_of(self.outputs[name], self.has_channels_last(name))
        return feature if feature is not None and len(feature) == 2 else None

    def has_channels_last(self, name: str) -> bool:
        """Whether a module's output is a map whose last axis has the channels of the latest layer with weights."""
        output, made = self.outputs[name], self.made[name]
        if not isinstance(output, Tensor) or output.dim() != 4 or output.numel() != made.numbers:
            return False
        are_first, are_last = output.shape[1] == made.units, output.shape[3] == made.units
        return are_last and (made.channels_last or not are_first)

    def _are_heads(self, name: str) -> bool:
        """Whether a 4-d output is not a map but attention heads: inside a module that outputs tokens or a vector."""
        output = self.outputs[name]
        if not isinstance(output, Tensor) or output.dim() != 4 or output.shape[1] == self.made[name].units:
            return False
        parts = name.split(".")
        around = [self.outputs.get(".".join(parts[:count])) for count in range(1, len(parts))]
        hands_on_one = bool(around) and isinstance(around[-1], Tensor) and around[-1].dim() == 2
        is_in_tokens = any(isinstance(each, Tensor) and each.dim() == 3 for each in around)
        return is_in_tokens or (hands_on_one and around[-1] is not self.logits and self.has_channels_last(name))


def _units_of(module: nn.Module) -> int:
    """Number of channels that a layer with weights makes; 0 for any other module."""
    weight = getattr(module, "weight", None)
    if next(module.children(), None) is not None or not isinstance(weight, Tensor) or not weight.dim():
        return 0
    if isinstance(module, nn.PReLU):  # an activation, which makes no channels
        return 0
    if isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        return module.out_channels
    return weight.shape[-1] if isinstance(module, nn.Embedding) else weight.shape[0]
