"""Devices for networks that run temporarily outside of trials, and transfers of tensors to a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from distill_tune.config import Config

_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


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


def is_short_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU ran out of memory, for PyTorch or for CUDA and its libraries.

    PyTorch's own error covers only its own allocations. If other processes hold nearly all of the memory, CUDA, cuBLAS
    or cuDNN fail to initialise first.
    """
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(each in said for each in _OF_MEMORY)


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
