"""What a student costs, known before it is trained: parameters and multiply-adds.

The network is made for a moment and run once on one sample, while its operations are counted by PyTorch's own formulas,
in which a multiplication and an addition are two operations. They are of convolutions, matrix products and attention;
normalisation and activations are left out.
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
"""Logits of a network that has not been trained sum to 1 only by chance, and not so closely."""


@dataclass(frozen=True)
class Cost:
    """What one student costs."""

    parameters: int
    """All weights, also those that a user's own student keeps frozen; buffers (the inputs' statistics) are none."""
    multiply_adds: int
    """For one sample; half of its floating-point operations."""


def count_cost(family: Student, input_shape: tuple[int, ...], classes: int) -> Cost:
    """Count without training and without touching the random state.

    Raises:
        ConfigError: the family has no network for this shape, or its network does not give logits.
    """
    return looked_at(lambda: _count(family, input_shape, classes))


def looked_at(look: Callable[[], _Seen]) -> _Seen:
    """What `look` sees of a network that it makes for a moment: one in which all numbers of a tensor are the same.

    A user's network may need them; it is made with them then. The random state is kept.
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
    """Multiply-adds of a network that exists, for one sample; it sees two, since a user's may not take a single one."""
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
    except Exception as error:  # these options, or this family; others of a space may be sound
        if told := fault_of_users(error):
            raise ConfigError(f"student.family: {told}") from error
        if isinstance(error, RecursionError):  # of PyTorch, which asks each module for its parts
            raise ConfigError(
                "student.family: a module of the network is a part of itself, so that no way through the network ends; "
                "keep what it must know of the whole in a list, which PyTorch does not look into."
            ) from error
        raise
    operations = operations_of(lambda: _run(network, torch.zeros(1, *input_shape), classes))
    return Cost(sum(parameter.numel() for parameter in network.parameters()), operations // 2)


def _check_network(network: object) -> None:
    """Refuse what is no network, is none yet, or is one that no file of weights can hold."""
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
    except Exception as error:  # a user's network may raise anything
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
