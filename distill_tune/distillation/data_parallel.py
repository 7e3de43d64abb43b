"""A student on several workers: its gradients are averaged at each step, its batch statistics once an epoch.

What a loss remembers of samples is the same on every worker: each hears of those of all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

_NOTHING = nullcontext()


@dataclass(frozen=True)
class Shard:
    """Which part of every batch this worker trains on."""

    rank: int = 0
    world_size: int = 1


class Shared(nn.Module):
    """What has the same buffers on every worker at any time."""


def data_parallel(student: nn.Module, shard: Shard, device: torch.device, is_known: bool = True) -> nn.Module:
    """The student as what a step calls: wrapped where several workers train it.

    Of a network that nobody here has written (`is_known` is False) the loss may leave weights out.
    """
    if shard.world_size == 1:
        return student
    compiles = "torch._dynamo" in sys.modules
    return (DistributedDataParallel if compiles else _WithoutDynamo)(
        student,
        device_ids=[device] if device.type == "cuda" else None,
        broadcast_buffers=False,  # at every step; once an epoch is enough, see `average_statistics`
        find_unused_parameters=not is_known,
        gradient_as_bucket_view=True,  # what was averaged need not be copied back, and has its memory once
    )


class _Answers(SimpleNamespace):
    """Stands for a module that is loaded only when something else is asked of it, as another PyTorch may."""

    def __init__(self, module: str, **known: Any):
        super().__init__(**known)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


class _WithoutDynamo(DistributedDataParallel):
    """PyTorch's own, which loads TorchDynamo to ask how it is to be compiled (PyTorch 2.13).

    That takes more than a second of each worker's processor. Whoever compiles a network has it loaded before.
    """

    def __init__(self, student: nn.Module, **options: Any):
        answers = _Answers("torch._dynamo.utils", get_optimize_ddp_mode=lambda: "ddp_optimizer")  # unless it is set
        torch._dynamo = stand_in = _Answers("torch._dynamo", utils=answers)  # type: ignore[assignment]
        try:
            super().__init__(student, **options)
        finally:
            if vars(torch).get("_dynamo") is stand_in:
                del torch._dynamo

    @contextmanager
    def _inside_ddp_forward(self) -> Iterator[None]:
        """Nothing: only what is compiled asks which of them is at work."""
        yield


def averaging(student: nn.Module, averages: bool) -> AbstractContextManager[None]:
    """Whether the block's backward pass averages gradients over the workers, or adds them up on each for a later."""
    if averages or not isinstance(student, DistributedDataParallel):
        return _NOTHING
    return student.no_sync()


def of_all_workers(rows: Tensor) -> Tensor:
    """[samples, ...] of each worker, one after the other; without gradient."""
    rows = rows.detach()
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def average_statistics(student: nn.Module, world_size: int) -> None:
    """Batch statistics, of which each rank saw its part, become their mean over ranks; equal numbers stay equal."""
    shared = {id(buffer) for part in student.modules() if isinstance(part, Shared) for buffer in part.buffers()}
    for buffer in student.buffers():
        if buffer.is_floating_point() and id(buffer) not in shared:
            mean = buffer.double()  # in which a sum of equal float32 numbers is exact
            dist.all_reduce(mean)
            buffer.copy_(mean / world_size)
