"""A network in evaluation mode for a while: whoever only looks at one leaves it as it was."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def in_evaluation(module: nn.Module) -> Iterator[None]:
    """Within the block; afterwards each part of `module` is in the mode that it was in, whatever happens."""
    trains = {each: each.training for each in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for each, mode in trains.items():
            each.training = mode
