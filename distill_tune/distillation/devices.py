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


@contextmanager
def on_device(device: str, network: nn.Module | None) -> Iterator[None]:
    """Runs a network on a device for a while; afterwards the memory there belongs to the trials."""
    if network is None or device == "cpu":
        yield
        return
    try:
        network.to(device)
        yield
    finally:
        network.cpu()
        torch.cuda.empty_cache()
