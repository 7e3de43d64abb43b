"""What a student costs, known before it exists: parameters and multiply-adds.

The network is built on torch's meta device, where tensors have shapes and no data, and run once under torch's
own counter (`torch.utils.flop_counter`), which counts a multiplication and an addition as two operations. It
counts convolutions and matrix products; normalisation and activations are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from distill_tune.errors import ConfigError, one_line
from distill_tune.students._base import Student

if TYPE_CHECKING:
    import torch
    from torch import nn

_Seen = TypeVar("_Seen")


@dataclass(frozen=True)
class Cost:
    """Of one student."""

    parameters: int
    """Trained numbers; buffers such as the normalisation of the inputs are none."""
    multiply_adds: int
    """For one sample; half of its floating-point operations."""


def count_cost(family: Student, input_shape: tuple[int, ...], classes: int) -> Cost:
    """Count without training, without memory and without touching the random state.

    Raises:
        ConfigError: the family has no network for this shape, or its network does not give logits.
    """
    return looked_at(lambda device: _count(family, input_shape, classes, device))


def looked_at(look: Callable[[torch.device], _Seen]) -> _Seen:
    """What `look` sees of a network that it makes on a device for a moment: on torch's meta device, without memory.

    A user's network may look at numbers, which meta has not; it is made on the CPU then. The random state is kept.
    """
    import torch

    with torch.random.fork_rng(devices=[]):  # its layers may draw numbers on the CPU though the device is meta
        try:
            return look(torch.device("meta"))
        except (ConfigError, RuntimeError):
            return look(torch.device("cpu"))


def multiply_adds(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Of a network that exists, for one sample."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    device = next(network.parameters(), torch.zeros(())).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *input_shape, device=device))
    return int(counter.get_total_flops() // 2)


def _count(family: Student, input_shape: tuple[int, ...], classes: int, device: torch.device) -> Cost:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with device, torch.no_grad():
        network = family.build(input_shape, classes).eval()
        with FlopCounterMode(display=False) as counter:
            _run(network, torch.zeros(1, *input_shape), classes)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, counter.get_total_flops() // 2)


def _run(network: nn.Module, sample: torch.Tensor, classes: int) -> None:
    try:
        shape = tuple(network(sample).shape)
    except Exception as error:  # a user's network may raise anything
        raise ConfigError(
            f"student.family: the network cannot take a sample of shape {tuple(sample.shape)}: {one_line(error)}"
        ) from error
    if shape != (1, classes):
        raise ConfigError(f"student.family: the network must give logits of shape (1, {classes}), but gave {shape}.")
