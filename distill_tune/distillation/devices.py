"""Where a network runs that is no trial's, there only for a while; and how numbers come to a device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from distill_tune.config import Config

_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


def device_for(config: Config) -> str:
    """Where a network runs in this process: as in the trials, on a GPU if they have some and one is here."""
    return "cuda" if config.resources.gpus_per_worker and torch.cuda.is_available() else "cpu"


def devices_to_try_on(config: Config) -> tuple[str, ...]:
    """Where a user's own part is tried before anything is started: on the CPU and, if it is there, on the trials' GPU.

    What makes tensors of its own may forget to make them where it is given others. What is wrong on the CPU too never
    comes to a GPU, which after some faults is of no use to this process any more.
    """
    return tuple(dict.fromkeys(("cpu", device_for(config))))


def is_missing(config: Config) -> bool:
    """Whether the trials' kind of device is not on this machine, so that nothing can be timed here as it will run."""
    return bool(config.resources.gpus_per_worker) and not torch.cuda.is_available()


def is_short_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU's memory is used up; also before PyTorch has asked for any, for what CUDA and its libraries need.

    Where others have nearly all of it, CUDA itself cannot begin, or cuBLAS or cuDNN; PyTorch's own error is of what it
    has asked for.
    """
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(each in said for each in _OF_MEMORY)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor there; on the way to a GPU nobody waits for what that has in hand, or only as long as CUDA must.

    Memory that is not pinned has been read when the call returns, so it may be written to at once.
    """
    return tensor.to(device, non_blocking=device.type == "cuda")


def gathered(tensor: Tensor, index: Tensor, device: torch.device) -> Tensor:
    """The rows of `tensor` at `index` (int64 [n]), on a device; neither of them need be there.

    What a GPU has no room for is gathered here into pinned memory and copied from there, while it works on what it was
    sent before.
    """
    if tensor.device.type == device.type:
        return tensor.index_select(0, sent(index, tensor.device))
    here = torch.empty(len(index), *tensor.shape[1:], dtype=tensor.dtype, pin_memory=device.type == "cuda")
    return sent(torch.index_select(tensor, 0, index.to(tensor.device), out=here), device)


@contextmanager
def on_device(device: str, network: nn.Module | None) -> Iterator[None]:
    """Runs a network on a device for a while; afterwards the memory there belongs to the trials."""
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
    """What is freed of a GPU's memory by the end is no longer kept by this process: it belongs to the trials."""
    try:
        yield
    finally:
        if device == "cuda":
            torch.cuda.empty_cache()
