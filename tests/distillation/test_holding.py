"""Rows of weights that are held for part of the training."""

import torch
from torch import nn

from distill_tune.distillation.holding import Hold


class TwoNames(nn.Module):
    """One layer under two names, as in a network that is also kept in parts."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(3, 4)
        self.body = nn.Sequential(self.stem, nn.ReLU())


def test_weights_of_a_layer_with_two_names_are_held_by_either() -> None:
    for name in ("stem.weight", "body.0.weight"):
        network = TwoNames()
        before = network.stem.weight.detach().clone()
        with Hold(network, {name: 4}, free_by=1.0).at(0.5), torch.no_grad():
            network.stem.weight += 1
        moved = (network.stem.weight != before).any(1)
        assert moved.tolist() == [True, True, True, False], "half of the way three are free: the first from the start"
