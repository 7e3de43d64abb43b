"""Networks in which no two units compute the same."""

import torch
from torch import nn


@torch.no_grad()
def vary_norms(network: nn.Module) -> None:
    """Give every batch norm unit its own scale, shift and statistics, from torch's global generator."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                assert tensor is not None
                tensor.uniform_(0.5, 1.5)
