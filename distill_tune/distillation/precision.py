"""Float32 or bfloat16 in the forward pass, one thread or several: whichever trains faster here.

Whether bfloat16 pays hangs on the processor and on the network: on one with AVX512-BF16 it made convolutional students
1.2 to 2 times as fast and small MLPs slower. So it is measured, once for a search, and then written into its
configuration, which all its trials share.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

_WARM_UP_STEPS = 3
_TIMED_STEPS = 12
_WORTH_IT = 1.15
"""So much faster bfloat16 must be; below, the difference may be chance, and float32 is the safer choice."""


def forward_context(wanted: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass; "auto" that nobody has resolved is bfloat16 on a GPU that has it, else float32."""
    if resolved(wanted, device) == "bfloat16":
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def resolved(wanted: str, device: torch.device) -> Literal["float32", "bfloat16"]:
    """The precision that `wanted` means on a device where nothing is measured."""
    pays = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if wanted == "bfloat16" or (wanted == "auto" and pays) else "float32"


def faster_precision(make: Callable[[], nn.Module], inputs: Tensor, labels: Tensor) -> Literal["float32", "bfloat16"]:
    """Answer "bfloat16" where training steps on the CPU are clearly faster so, else "float32".

    Args:
        make: builds the network: inputs to logits.
        inputs: one batch, in stored units.
        labels: int64 [batch].
    """
    plain_s, half_s = (step_s(make(), inputs, labels, precision) for precision in ("float32", "bfloat16"))
    return "bfloat16" if plain_s > _WORTH_IT * half_s else "float32"


def faster_threads(make: Callable[[], nn.Module], inputs: Tensor, labels: Tensor, precision: str) -> int:
    """1, or torch's present number of threads: small networks spend longer on sharing work than on doing it."""
    present = torch.get_num_threads()
    together_s = step_s(make(), inputs, labels, precision)
    with threads(1):
        alone_s = step_s(make(), inputs, labels, precision)
    return present if together_s < alone_s else 1


def step_s(network: nn.Module, inputs: Tensor, labels: Tensor, precision: str) -> float:
    """Seconds of a training step: the median, after a warm-up; AdamW on cross-entropy."""
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4, fused=True)
    context = forward_context(precision, inputs.device)
    times_s = [_timed_step_s(network, optimizer, context, inputs, labels) for _ in range(_WARM_UP_STEPS + _TIMED_STEPS)]
    return sorted(times_s[_WARM_UP_STEPS:])[_TIMED_STEPS // 2]


def _timed_step_s(
    network: nn.Module, optimizer: Optimizer, context: AbstractContextManager[Any], inputs: Tensor, labels: Tensor
) -> float:
    began_s = time.perf_counter()
    with context:
        logits = network(inputs)
    optimizer.zero_grad()
    F.cross_entropy(logits.float(), labels).backward()
    optimizer.step()
    return time.perf_counter() - began_s


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch's number of threads, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
