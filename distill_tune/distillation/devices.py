"""Where a network runs that is no trial's: on the trials' kind of device, and there only for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from distill_tune.config import Config


def device_for(config: Config) -> str:
    """Where a network runs in this process: as in the trials, on a GPU if they have some and one is here."""
    return "cuda" if config.resources.gpus_per_worker and torch.cuda.is_available() else "cpu"


def is_missing(config: Config) -> bool:
    """Whether the trials' kind of device is not on this machine, so that nothing can be timed here as it will run."""
    return bool(config.resources.gpus_per_worker) and not torch.cuda.is_available()


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
