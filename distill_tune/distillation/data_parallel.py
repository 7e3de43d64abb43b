"""Data-parallel training of a student: gradients are averaged every step, batch statistics once per epoch.

What a loss remembers of samples is the same on every worker, because each receives the samples of all.
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
    """A module whose buffers are identical on every worker at all times."""


def data_parallel(student: nn.Module, shard: Shard, device: torch.device, is_known: bool = True) -> nn.Module:
    """Return the module that a step calls: the student, wrapped if several workers train it.

    With user-defined parts (`is_known` is False), the loss may leave some weights unused.
    """
    if shard.world_size == 1:
        return student
    compiles = "torch._dynamo" in sys.modules
    return (DistributedDataParallel if compiles else _WithoutDynamo)(
        student,
        device_ids=[device] if device.type == "cuda" else None,
        broadcast_buffers=False,  # once per epoch is enough, see `average_statistics`
        find_unused_parameters=not is_known,
        gradient_as_bucket_view=True,  # saves a copy of the averaged gradients and its memory
    )


class _Answers(SimpleNamespace):
    """Stand-in for a module that is loaded only if another attribute is read, as other PyTorch versions may do."""

    def __init__(self, module: str, **known: Any):
        super().__init__(**known)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._module), name)


class _WithoutDynamo(DistributedDataParallel):
    """`DistributedDataParallel` without loading TorchDynamo, which PyTorch 2.13 only asks how to compile it.

    Loading takes more than a second of CPU time per worker. Code that compiles a network has already loaded it.
    """

    def __init__(self, student: nn.Module, **options: Any):
        answers = _Answers("torch._dynamo.utils", get_optimize_ddp_mode=lambda: "ddp_optimizer")  # the default
        torch._dynamo = stand_in = _Answers("torch._dynamo", utils=answers)  # type: ignore[assignment]
        try:
            super().__init__(student, **options)
        finally:
            if vars(torch).get("_dynamo") is stand_in:
                del torch._dynamo

    @contextmanager
    def _inside_ddp_forward(self) -> Iterator[None]:
        """Do nothing: only compiled code asks which instance is active."""
        yield


def averaging(student: nn.Module, averages: bool) -> AbstractContextManager[None]:
    """Context in which backward averages gradients over the workers or, if not `averages`, accumulates them locally."""
    if averages or not isinstance(student, DistributedDataParallel):
        return _NOTHING
    return student.no_sync()


def of_all_workers(rows: Tensor) -> Tensor:
    """Concatenate the rows, [samples, ...], of all workers in rank order, without gradient."""
    rows = rows.detach()
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows.contiguous())
    return torch.cat(parts)


def average_statistics(student: nn.Module, world_size: int) -> None:
    """Replace batch statistics, which each rank collects on its own part, by their mean over ranks.

    Equal numbers stay equal.
    """
    shared = {id(buffer) for part in student.modules() if isinstance(part, Shared) for buffer in part.buffers()}
    for buffer in student.buffers():
        if buffer.is_floating_point() and id(buffer) not in shared:
            mean = buffer.double()  # a sum of equal float32 numbers is exact in it
            dist.all_reduce(mean)
            buffer.copy_(mean / world_size)
