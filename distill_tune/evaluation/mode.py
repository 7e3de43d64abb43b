"""Evaluation mode, also for programs that refuse to change theirs; inspecting a network leaves it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


def put_in_evaluation(module: nn.Module) -> nn.Module:
    """Put `module` in evaluation mode, and return it.

    The module of a program of `torch.export` raises NotImplementedError, wherever it is within `module`: its graph has
    the mode in which it was exported. Then only what is around it changes.
    """
    try:
        return module.eval()
    except NotImplementedError:
        for each in module.modules():
            each.training = False
        return module


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Put `module` in evaluation mode within the block; each submodule's own mode is always restored afterwards."""
    trains = {each: each.training for each in module.modules()}
    put_in_evaluation(module)
    try:
        yield
    finally:
        for each, mode in trains.items():
            each.training = mode
