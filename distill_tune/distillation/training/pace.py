"""Find the precision and memory format in which students train fastest on this device.

The best choice depends on device and network: on a processor with AVX512-BF16, bfloat16 made convolutional students 1.2
to 2 times as fast and small MLPs slower; with channels last, a residual student's step took 0.74 of its time and a
plain convnet's 0.99. So it is measured per family, once per search, and written into the search's configuration.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from distill_tune.distillation.precision import Precision, forward_context, precisions_of
from distill_tune.registry import OPTIMIZERS

MemoryFormat = Literal["contiguous", "channels_last"]

_WARM_UP_STEPS = 2
_LEAST_TIMED_STEPS = 9
_PACES_OVER_S = 0.05
"""Time for all paces of a network together, or nine steps of each if longer; short because a search waits for it."""
_WORTH_IT = 1.1
"""Minimum speedup of bfloat16; below it the difference may be chance, and float32 is the safer choice."""
_WORTH_ANOTHER_FORMAT = 1.05
_BLOCK = 8
"""Channels that oneDNN's kernels without AVX-512 process at a time."""


class Pace(NamedTuple):
    """Precision and memory format of a training."""

    precision: Precision
    memory_format: MemoryFormat


PLAIN = Pace("float32", "contiguous")


def paces_s(make: Callable[[], nn.Module], inputs: Tensor, labels: Tensor) -> dict[Pace, float]:
    """Seconds of a training step at each available pace; channels last only for networks with suitable kernels.

    The fastest of several steps, with the paces taken in turns: other programs only ever slow a step down, and a
    momentary slowdown then affects all paces.

    Args:
        make: builds the network, from inputs to logits, on the inputs' device.
        inputs: one batch, in stored units.
        labels: int64 [batch].
    """
    formats: tuple[MemoryFormat, ...] = ("contiguous", "channels_last") if _may_lie_last(make()) else ("contiguous",)
    paces = [Pace(precision, form) for precision in precisions_of(inputs.device) for form in formats]
    steps = [_Step(laid_out(make(), pace.memory_format), inputs, labels, pace.precision) for pace in paces]
    return dict(zip(paces, map(min, _taken_s(steps, _PACES_OVER_S)), strict=True))


def fastest(times_s: dict[Pace, float]) -> Pace:
    """The pace to train at, given the times from `paces_s`: the plainest unless another is clearly faster."""
    plain, half = (_laid_out_best(times_s, precision) for precision in get_args(Precision))
    return _other_if_worth_it(times_s, plain, half, _WORTH_IT)


def _laid_out_best(times_s: dict[Pace, float], precision: Precision) -> Pace:
    plain, last = (Pace(precision, form) for form in get_args(MemoryFormat))
    return _other_if_worth_it(times_s, plain, last, _WORTH_ANOTHER_FORMAT)


def _other_if_worth_it(times_s: dict[Pace, float], plain: Pace, other: Pace, worth_it: float) -> Pace:
    return other if other in times_s and times_s[plain] > worth_it * times_s[other] else plain


def laid_out(network: nn.Module, memory_format: str) -> nn.Module:
    """The network in `memory_format`, if its kernels allow it; an unresolved "auto" is contiguous."""
    if memory_format != "channels_last" or not _may_lie_last(network):
        return network
    to: Any = network.to  # stubs before PyTorch 2.15 lack the memory format
    last: nn.Module = to(memory_format=torch.channels_last)
    return last


def _may_lie_last(network: nn.Module) -> bool:
    """Whether there are kernels, and on a CPU none for which oneDNN writes out of bounds with channels last.

    Without AVX-512 it does so for the gradient of a 1x1 kernel with a stride and fewer than eight channels, such as
    in a narrow resnet's shortcut (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """
    kernels = [parameter for parameter in network.parameters() if parameter.dim() == 4]
    return bool(kernels) and (
        kernels[0].is_cuda
        or torch.backends.cpu.get_cpu_capability() == "AVX512"
        or not any(map(_is_overrun, network.modules()))
    )


def _is_overrun(module: nn.Module) -> bool:
    return (
        isinstance(module, nn.Conv2d)
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.in_channels // module.groups < _BLOCK
    )


def step_s(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    precision: str,
    over_s: float = 0.0,
    least_steps: int = _LEAST_TIMED_STEPS,
) -> float:
    """Median seconds of a training step after a warm-up; AdamW on cross-entropy.

    Args:
        network: inputs to logits; its weights change.
        inputs: one batch, in stored units.
        labels: int64 [batch].
        precision: of the forward pass.
        over_s: seconds to measure for, unless `least_steps` take longer. A tenth of a second shows which of two paces
            is faster, but does not predict an hour: a processor's speed changes from one moment to the next.
        least_steps: minimum number of timed steps.
    """
    return median(*_taken_s([_Step(network, inputs, labels, precision)], over_s, least_steps))


def _taken_s(steps: list[_Step], over_s: float, least_steps: int = _LEAST_TIMED_STEPS) -> list[tuple[float, ...]]:
    """Seconds of every repetition of each kind of step, after a warm-up; the kinds are taken in turns."""
    for step in steps * _WARM_UP_STEPS:
        step.taken_s()
    rounds_s = [[step.taken_s() for step in steps] for _ in range(least_steps)]
    while sum(map(sum, rounds_s)) < over_s:
        rounds_s.append([step.taken_s() for step in steps])
    return list(zip(*rounds_s, strict=True))


class _Step:
    """A training step that can be repeated."""

    def __init__(self, network: nn.Module, inputs: Tensor, labels: Tensor, precision: str):
        self._network, self._inputs = network, inputs
        self._labels = labels.clamp(min=0)  # some may be missing
        self._optimizer = OPTIMIZERS.get("adamw")().build(network, learning_rate=1e-4, weight_decay=0.01)
        self._context = forward_context(precision, inputs.device)

    def taken_s(self) -> float:
        """Take the step and return its seconds."""
        began_s = time.perf_counter()
        with self._context:
            logits = self._network(self._inputs)
        self._optimizer.zero_grad()
        F.cross_entropy(logits.float(), self._labels).backward()
        self._optimizer.step()
        if self._inputs.is_cuda:
            torch.cuda.synchronize(self._inputs.device)
        return time.perf_counter() - began_s
