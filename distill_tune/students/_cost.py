"""The cost of a student before it is trained: parameters and multiply-adds.

A temporary network is run once on one sample, while its operations are counted by PyTorch's own formulas, in which a
multiplication and an addition are two operations. They cover convolutions, matrix products and attention; normalisation
and activations are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from distill_tune.errors import ConfigError, one_line
from distill_tune.students._base import Student
from distill_tune.users_faults import fault_of_users

if TYPE_CHECKING:
    import torch
    from torch import nn

_Seen = TypeVar("_Seen")
_EXACTLY = 1e-5
"""Logits of an untrained network sum to 1 only by chance, and not this closely."""


@dataclass(frozen=True)
class Cost:
    """The cost of one student."""

    parameters: int
    """All weights, including those that a custom student keeps frozen, but no buffers (the inputs' statistics)."""
    multiply_adds: int
    """Per sample; half of the floating-point operations."""


def count_cost(family: Student, input_shape: tuple[int, ...], classes: int) -> Cost:
    """Count the cost without training and without touching the random state.

    Raises:
        ConfigError: the family has no network for this shape, or its network does not return logits.
    """
    return looked_at(lambda: _count(family, input_shape, classes))


def looked_at(look: Callable[[], _Seen]) -> _Seen:
    """The result of `look` on a temporary network that it builds, in which all elements of a tensor are equal.

    If that fails, as it may for a custom network, `look` is called again with regular weights. The random state is
    preserved.
    """
    import torch

    from distill_tune.students._counting import FewNumbers

    with torch.random.fork_rng(devices=[]):
        try:
            with FewNumbers():
                return look()
        except (ConfigError, RuntimeError):
            return look()


def multiply_adds(network: nn.Module, input_shape: tuple[int, ...]) -> int:
    """Multiply-adds of an existing network per sample; it is run on two, since a custom one may not accept just one."""
    import torch

    from distill_tune.students._counting import operations_of

    device = next(network.parameters(), torch.zeros(())).device
    return operations_of(lambda: network(torch.zeros(2, *input_shape, device=device))) // 4


def _count(family: Student, input_shape: tuple[int, ...], classes: int) -> Cost:
    import torch

    from distill_tune.students._counting import operations_of

    try:
        network = family.build(input_shape, classes)
        _check_network(network)
        network.eval()
    except ConfigError:
        raise
    except Exception as error:  # the fault of these options or this family; others in the space may work
        if told := fault_of_users(error):
            raise ConfigError(f"student.family: {told}") from error
        if isinstance(error, RecursionError):  # from PyTorch, which asks each module for its parts
            raise ConfigError(
                "student.family: a module of the network is a part of itself, so that no way through the network ends; "
                "keep what it must know of the whole in a list, which PyTorch does not look into."
            ) from error
        raise
    operations = operations_of(lambda: _run(network, torch.zeros(1, *input_shape), classes))
    return Cost(sum(parameter.numel() for parameter in network.parameters()), operations // 2)


def _check_network(network: object) -> None:
    """Refuse anything but a network, lazy layers, and a state dict that no weights file can hold."""
    import torch
    from torch.nn.parameter import is_lazy

    if not isinstance(network, torch.nn.Module):
        kind = type(network).__name__
        raise ConfigError(f"student.family: `build` must give a torch.nn.Module, but gave {kind}; mend it.")
    if any(map(is_lazy, network.parameters())):
        raise ConfigError(
            "student.family: the network has layers that take their sizes from the first batch (LazyLinear and the "
            "like); give the sizes, which follow from input_shape."
        )
    odd = next((name for name, kept in network.state_dict().items() if not isinstance(kept, torch.Tensor)), None)
    if odd is not None:
        raise ConfigError(
            f"student.family: the network's state dict must hold tensors alone, but has {odd!r}, which is none; make "
            "it a buffer, or leave it out."
        )


def _run(network: nn.Module, sample: torch.Tensor, classes: int) -> None:
    import torch

    try:
        given: object = network(sample)
    except Exception as error:  # a custom network may raise anything
        raise ConfigError(
            f"student.family: the network cannot take a sample of shape {tuple(sample.shape)}: "
            f"{one_line(error).rstrip('.')}; mend its forward."
        ) from error
    shape = tuple(given.shape) if isinstance(given, torch.Tensor) else f"{given!r:.60}"
    if not isinstance(given, torch.Tensor) or shape != (1, classes):
        raise ConfigError(
            f"student.family: the network must give logits of shape (1, {classes}), but gave {shape}; let `forward` "
            "return them alone."
        )
    logits = given.detach()
    if logits.min().item() >= 0 and abs(logits.sum().item() - 1) < _EXACTLY:
        raise ConfigError(
            "student.family: the network must give logits, but gave numbers that sum to 1, as probabilities do; leave "
            "its softmax out."
        )
