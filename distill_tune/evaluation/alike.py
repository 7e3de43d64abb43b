"""Whether two networks compute the same logits, which equal names and shapes of their weights do not guarantee."""

import torch
from torch import Tensor, nn

from distill_tune.evaluation.portions import device_of

CLOSE = 1e-3
"""Largest allowed difference of two logits; another order of summation in float32 causes far less."""
_SAMPLES = 32


def random_samples(input_shape: tuple[int, ...]) -> Tensor:
    """float32 [32, *input_shape], standard normal, the same each time."""
    return torch.randn(_SAMPLES, *input_shape, generator=torch.Generator().manual_seed(0))


@torch.no_grad()  # a TorchScript network that has been trained cannot run in inference mode
def difference(ours: nn.Module, theirs: nn.Module, samples: Tensor) -> float:
    """The largest difference between two networks' logits, each sample's centred on its mean.

    Args:
        ours: in evaluation mode; moved to where the other one is.
        theirs: likewise in evaluation mode; only called.
        samples: [n, *input_shape], inputs of both.
    """
    samples = samples.to(device_of(theirs))
    one, other = ours.to(samples.device)(samples), theirs(samples)
    return float((one - one.mean(1, True) - other + other.mean(1, True)).abs().max())
