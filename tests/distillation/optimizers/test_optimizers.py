"""Contract of every optimizer."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from distill_tune.distillation.optimizers import weight_groups
from distill_tune.registry import OPTIMIZERS


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    inputs = torch.randn(32, 4, generator=torch.Generator().manual_seed(1))
    losses = []
    for _ in range(steps):
        loss = (module(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(params=OPTIMIZERS.names)
def build(request: pytest.FixtureRequest) -> Callable[..., Any]:
    entry = OPTIMIZERS.get(request.param)()

    def built(module: nn.Module, learning_rate: float = 1e-2, weight_decay: float = 0.0) -> Any:
        return entry.build(module, learning_rate, weight_decay)

    return built


def test_training_lowers_the_loss(build: Callable[..., Any]) -> None:
    module = network()
    losses = train(module, build(module), 50)
    assert losses[-1] < 0.5 * losses[0]


def test_only_matrices_and_kernels_decay(build: Callable[..., Any]) -> None:
    module = network()
    groups = build(module, weight_decay=0.1).param_groups
    decay = {parameter: group["weight_decay"] for group in groups for parameter in group["params"]}
    assert all(decay[parameter] == (0.1 if parameter.dim() > 1 else 0.0) for parameter in module.parameters())


def test_frozen_weights_are_left_out(build: Callable[..., Any]) -> None:
    module = network()
    module[0].requires_grad_(False)  # type: ignore[index]
    held = {parameter for group in build(module).param_groups for parameter in group["params"]}
    assert held == {parameter for parameter in module.parameters() if parameter.requires_grad}


def test_the_rate_of_a_step_is_that_of_the_groups(build: Callable[..., Any]) -> None:
    module = network()
    optimizer = build(module, learning_rate=1.0, weight_decay=0.1)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = [parameter.clone() for parameter in module.parameters()]
    train(module, optimizer, 1)
    assert all(torch.equal(old, new) for old, new in zip(before, module.parameters(), strict=True))


def test_a_training_goes_on_from_its_state_as_if_nothing_had_happened(build: Callable[..., Any]) -> None:
    whole, half = network(), network()
    expected = train(whole, build(whole), 6)
    first = build(half)
    train(half, first, 3)
    second = build(half)
    second.load_state_dict(first.state_dict())
    assert train(half, second, 3) == expected[3:]


def test_a_weight_without_a_gradient_stays_and_the_others_go_on(build: Callable[..., Any]) -> None:
    module, idle = network(), nn.Linear(3, 3)
    both = nn.ModuleList([module, idle])
    before = idle.weight.clone()
    losses = train(module, build(both, weight_decay=0.1), 20)
    assert torch.equal(idle.weight, before)
    assert losses[-1] < losses[0]


def test_a_group_that_is_added_is_trained_as_the_others_are(build: Callable[..., Any]) -> None:
    together, apart = network(), network()
    expected = train(together, build(together, weight_decay=0.1), 10)
    added = build(apart[0], weight_decay=0.1)  # type: ignore[index]
    for group in weight_groups(nn.ModuleList(apart[1:]), 0.1):  # type: ignore[index]
        added.add_param_group(group)
    assert train(apart, added, 10) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ("adamw", lambda groups: torch.optim.AdamW(groups, lr=1e-2, betas=(0.8, 0.95), fused=True)),
        ("sgd", lambda groups: torch.optim.SGD(groups, lr=1e-2, momentum=0.7, nesterov=True, fused=True)),
        ("sgd", lambda groups: torch.optim.SGD(groups, lr=1e-2, momentum=0.0, fused=True)),
    ],
    ids=["adamw", "sgd with momentum", "plain sgd"],
)
def test_the_weights_are_those_of_torch_to_the_bit(options: str, reference: Callable[..., Any]) -> None:
    ours, theirs = network(), network()
    expected = reference(weight_groups(theirs, 0.1))
    chosen = {"adamw": {"beta1": 0.8, "beta2": 0.95}, "sgd": {"momentum": expected.defaults.get("momentum")}}[options]
    made = OPTIMIZERS.get(options)(**chosen).build(ours, 1e-2, 0.1)
    assert train(ours, made, 10) == train(theirs, expected, 10)
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(own, other)
