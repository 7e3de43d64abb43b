"""Devices for networks that run temporarily outside of trials, and transfers of tensors to a device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from distill_tune.config import Config
from distill_tune.errors import is_short_of_memory

_T = TypeVar("_T")


def device_for(config: Config) -> str:
    """Where a network runs in this process: on a GPU if the trials use GPUs and one is available, else on the CPU."""
    return "cuda" if config.resources.gpus_per_worker and torch.cuda.is_available() else "cpu"


def devices_to_try_on(config: Config) -> tuple[str, ...]:
    """Where user-defined code is tried before a search starts: on the CPU and, if available, on the trials' GPU.

    Code that creates tensors may forget to create them on the device of its inputs. The CPU comes first, because some
    faults make a GPU unusable for the rest of this process.
    """
    return tuple(dict.fromkeys(("cpu", device_for(config))))


def is_missing(config: Config) -> bool:
    """Whether this machine lacks the trials' kind of device, so that timings here would not be representative."""
    return bool(config.resources.gpus_per_worker) and not torch.cuda.is_available()


def memory_left(device: torch.device) -> int:
    """Bytes of a GPU's memory that this process may still use, those included that PyTorch holds for its next tensors.

    A process that shares the GPU may use its share only.
    """
    free, whole = torch.cuda.mem_get_info(device)
    used = torch.cuda.memory_allocated(device)
    held = torch.cuda.memory_reserved(device) - used
    share = torch.cuda.get_per_process_memory_fraction(device.index)
    return min(free + held, int(share * whole) - used)


def in_parts(work: Callable[[Tensor], _T], portion: Tensor) -> list[_T]:
    """The work's results for a portion: one, or those of its halves (and so on) if a GPU is short of memory for it."""
    try:
        return [work(portion)]
    except RuntimeError as error:
        if len(portion) < 2 or not is_short_of_memory(error):
            raise
    return [made for half in portion.chunk(2) for made in in_parts(work, half)]


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; a copy to a GPU does not wait for its pending work, except as long as CUDA must.

    Unpinned memory has been read when the call returns, so it may be overwritten at once.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def gathered(tensor: Tensor, index: Tensor, device: torch.device) -> Tensor:
    """The rows of `tensor` at `index` (int64 [n]) on `device`; neither has to be on it.

    Rows of a tensor that a GPU has no room for are gathered into pinned memory and copied while the GPU works on
    earlier ones.
    """
    if tensor.device.type == device.type:
        return tensor.index_select(0, sent(index, tensor.device))
    here = torch.empty(len(index), *tensor.shape[1:], dtype=tensor.dtype, pin_memory=device.type == "cuda")
    return sent(torch.index_select(tensor, 0, index.to(tensor.device), out=here), device)


@contextmanager
def on_device(device: str, network: nn.Module | None) -> Iterator[None]:
    """Run a network on a device inside the block; afterwards its memory is free for the trials."""
    if network is None or device == "cpu":
        yield
        return
    with memory_given_back(device):
        try:
            network.to(device)
            yield
        finally:
            network.cpu()


@contextmanager
def memory_given_back(device: str) -> Iterator[None]:
    """Release GPU memory that is free at the end of the block from PyTorch's cache, for the trials."""
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.empty_cache()


def where_there_is_room(
    device: str, network: nn.Module | None, work: Callable[[], _T], to_cpu: Callable[[], None] = lambda: None
) -> _T:
    """Work with a network on a GPU if the trials have one, else (or if it is short of memory) on the CPU.

    `to_cpu` is called before the work is begun again there.
    """
    try:
        with on_device(device, network):
            return work()
    except RuntimeError as error:
        if device == "cpu" or not is_short_of_memory(error):
            raise
    to_cpu()
    return work()
