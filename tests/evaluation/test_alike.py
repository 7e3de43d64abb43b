"""When two networks count as the same function."""

import torch
from torch import nn

from distill_tune.evaluation.alike import CLOSE, difference, random_samples


def network(activation: nn.Module, shift: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(5, 8), activation, nn.Linear(8, 3)).eval()
    with torch.no_grad():
        made.get_parameter("2.bias").add_(shift)
    return made


def test_the_same_weights_with_another_activation_are_another_network() -> None:
    samples = random_samples((5,))
    assert difference(network(nn.ReLU()), network(nn.ReLU()), samples) < 1e-6  # centring rounds in the last bit
    assert difference(network(nn.GELU()), network(nn.ReLU()), samples) > CLOSE


def test_what_is_added_to_all_logits_of_a_sample_alike_is_no_difference() -> None:
    assert difference(network(nn.ReLU(), shift=7.0), network(nn.ReLU()), random_samples((5,))) < CLOSE
