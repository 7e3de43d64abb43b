"""Multilayer perceptron, the student of Hinton et al. 2015 (https://arxiv.org/abs/1503.02531)."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from distill_tune.registry import STUDENTS
from distill_tune.students._base import Student
from distill_tune.students._wiring import CLASSES, HEAD, INPUT, Wiring, body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

Width = Annotated[int, Field(ge=1, le=4096)]


@STUDENTS.register
class MLP(Student):
    """Linear layers with activations in between; images are flattened."""

    widths: Annotated[list[Width], Field(min_length=1, max_length=12)] | None = None
    """Width of each hidden layer, such as [100, 200, 300]; if given, `width` and `depth` are ignored."""
    width: Width = 64
    """Width of every hidden layer."""
    depth: Annotated[int, Field(ge=1, le=12)] = 2
    """Number of hidden layers."""
    activation: Literal["relu", "gelu", "silu"] = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each hidden layer's outputs set to zero in training."""

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        """Inputs [batch, *input_shape] to logits [batch, classes]."""
        from torch import nn

        activation = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}[self.activation]
        layers: list[nn.Module] = [nn.Flatten()]
        inputs = prod(input_shape)
        for width in self.widths or [self.width] * self.depth:
            layers += [nn.Linear(inputs, width), activation()]
            layers += [nn.Dropout(self.dropout)] if self.dropout else []
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, classes))

    def without_effect(self, input_shape: tuple[int, ...]) -> Mapping[str, str]:
        """`width` and `depth` beside `widths`."""
        return dict.fromkeys(("width", "depth"), "widths is set") if self.widths else {}

    def wiring(self, network: nn.Module) -> Wiring:
        """Each hidden layer is a stage and makes its own group."""
        from torch import nn

        wiring, group = Wiring(network), INPUT
        *hidden, last = (name for name, module in network.named_children() if isinstance(module, nn.Linear))
        for stage, name in enumerate(hidden):
            group = wiring.add(body(stage), "main", name, group, wiring.new_group())
        wiring.add(HEAD, "main", last, group, CLASSES)
        return wiring
