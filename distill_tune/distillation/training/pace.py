"""In which precision and memory format students train fastest here.

What pays depends on the device and on the network: on a processor with AVX512-BF16, bfloat16 made convolutional
students 1.2 to 2 times as fast and small MLPs slower; with channels last, a residual student's step took 0.74 of its
time and a plain convnet's 0.99. So it is measured for each family, once for a search, and written into its
configuration.
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
"""For all paces of a network together; nine steps of each, if they take longer. A search waits for it."""
_WORTH_IT = 1.1
"""So much faster bfloat16 must be; below, the difference may be chance, and float32 is the safer choice."""
_WORTH_ANOTHER_FORMAT = 1.05
_BLOCK = 8
"""Channels that oneDNN's kernels without AVX-512 take at a time."""


class Pace(NamedTuple):
    """How students are trained."""

    precision: Precision
    memory_format: MemoryFormat


PLAIN = Pace("float32", "contiguous")


def paces_s(make: Callable[[], nn.Module], inputs: Tensor, labels: Tensor) -> dict[Pace, float]:
    """Seconds of a training step at each pace that there is; channels last only where there are kernels to lie so.

    The quickest of several, taken in turns: other programs only ever make a step slower, and what slows the processor
    down for a moment slows all paces.

    Args:
        make: builds the network, where the inputs are: inputs to logits.
        inputs: one batch, in stored units.
        labels: int64 [batch].
    """
    formats: tuple[MemoryFormat, ...] = ("contiguous", "channels_last") if _may_lie_last(make()) else ("contiguous",)
    paces = [Pace(precision, form) for precision in precisions_of(inputs.device) for form in formats]
    steps = [_Step(laid_out(make(), pace.memory_format), inputs, labels, pace.precision) for pace in paces]
    return dict(zip(paces, map(min, _taken_s(steps, _PACES_OVER_S)), strict=True))


def fastest(times_s: dict[Pace, float]) -> Pace:
    """The pace to train at, by what `paces_s` found: another than the plainest where it is clearly faster."""
    plain, half = (_laid_out_best(times_s, precision) for precision in get_args(Precision))
    return _other_if_worth_it(times_s, plain, half, _WORTH_IT)


def _laid_out_best(times_s: dict[Pace, float], precision: Precision) -> Pace:
    plain, last = (Pace(precision, form) for form in get_args(MemoryFormat))
    return _other_if_worth_it(times_s, plain, last, _WORTH_ANOTHER_FORMAT)


def _other_if_worth_it(times_s: dict[Pace, float], plain: Pace, other: Pace, worth_it: float) -> Pace:
    return other if other in times_s and times_s[plain] > worth_it * times_s[other] else plain


def laid_out(network: nn.Module, memory_format: str) -> nn.Module:
    """The same network, its kernels laid out so where they may be; "auto" that nobody has settled is contiguous."""
    if memory_format != "channels_last" or not _may_lie_last(network):
        return network
    to: Any = network.to  # of which stubs before PyTorch 2.15 do not say that it takes a memory format
    last: nn.Module = to(memory_format=torch.channels_last)
    return last


def _may_lie_last(network: nn.Module) -> bool:
    """Whether there are kernels, and on a CPU none for which oneDNN writes past its memory with channels last.

    Without AVX-512 it does so for the gradient of a 1x1 kernel with a stride and fewer than eight channels, such as
    in a narrow resnet's short cut (https://github.com/uxlfoundation/oneDNN/issues/6035).
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
    """Seconds of a training step: the median, after a warm-up; AdamW on cross-entropy.

    Args:
        network: inputs to logits; its weights change.
        inputs: one batch, in stored units.
        labels: int64 [batch].
        precision: of the forward pass.
        over_s: seconds to go on for; `least_steps`, if they take longer. A tenth of a second shows which of two paces
            is faster, but not what an hour of it brings: a processor's speed changes from one such moment to another.
        least_steps: how many are timed at the least.
    """
    return median(*_taken_s([_Step(network, inputs, labels, precision)], over_s, least_steps))


def _taken_s(steps: list[_Step], over_s: float, least_steps: int = _LEAST_TIMED_STEPS) -> list[tuple[float, ...]]:
    """What each kind of step took, time after time, after a warm-up; one of each kind in turn."""
    for step in steps * _WARM_UP_STEPS:
        step.taken_s()
    rounds_s = [[step.taken_s() for step in steps] for _ in range(least_steps)]
    while sum(map(sum, rounds_s)) < over_s:
        rounds_s.append([step.taken_s() for step in steps])
    return list(zip(*rounds_s, strict=True))


class _Step:
    """A training step that can be taken over and over."""

    def __init__(self, network: nn.Module, inputs: Tensor, labels: Tensor, precision: str):
        self._network, self._inputs = network, inputs
        self._labels = labels.clamp(min=0)  # some may be missing
        self._optimizer = OPTIMIZERS.get("adamw")().build(network, learning_rate=1e-4, weight_decay=0.01)
        self._context = forward_context(precision, inputs.device)

    def taken_s(self) -> float:
        """Take it; the seconds that it took."""
        began_s = time.perf_counter()
        with self._context:
            logits = self._network(self._inputs)
        self._optimizer.zero_grad()
        F.cross_entropy(logits.float(), self._labels).backward()
        self._optimizer.step()
        if self._inputs.is_cuda:
            torch.cuda.synchronize(self._inputs.device)
        return time.perf_counter() - began_s
