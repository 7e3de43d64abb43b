"""Temporary evaluation mode: inspecting a network leaves it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Put `module` in evaluation mode within the block; each submodule's own mode is always restored afterwards."""
    trains = {each: each.training for each in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for each, mode in trains.items():
            each.training = mode
