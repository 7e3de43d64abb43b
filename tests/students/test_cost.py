"""Parameters and multiply-adds of a student, counted without training or changing anything."""

import subprocess
import sys
from collections.abc import Callable
from itertools import product

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from distill_tune.registry import STUDENTS
from distill_tune.students import Cost, count_cost, multiply_adds


def test_multiply_adds_of_an_mlp_are_its_weights() -> None:
    cost = count_cost(STUDENTS.get("mlp")(widths=[20, 20, 20]), (1, 8, 8), 10)
    weights = 64 * 20 + 20 * 20 + 20 * 20 + 20 * 10
    assert cost == Cost(parameters=weights + 20 + 20 + 20 + 10, multiply_adds=weights)


def test_multiply_adds_of_a_convnet_are_weights_times_places() -> None:
    family = STUDENTS.get("convnet")(width=4, depth=2, first_stride=1)
    first, second, last = 1 * 4 * 9, 4 * 8 * 9, 8 * 10
    cost = count_cost(family, (1, 8, 8), 10)
    assert cost.multiply_adds == first * 8 * 8 + second * 4 * 4 + last
    assert cost.parameters == first + second + 2 * 4 + 2 * 8 + last + 10


def test_multiply_adds_of_a_separable_convnet_are_counted_by_group() -> None:
    family = STUDENTS.get("convnet")(width=4, depth=2, first_stride=1, separable=True)
    depthwise, pointwise = 4 * 9, 4 * 8
    expected = 4 * 9 * 8 * 8 + (depthwise + pointwise) * 4 * 4 + 8 * 10
    assert count_cost(family, (1, 8, 8), 10).multiply_adds == expected


def test_counting_leaves_the_random_state_and_the_networks_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    for name in STUDENTS.names:
        count_cost(STUDENTS.get(name)(), (1, 28, 28), 10)
    assert torch.equal(torch.rand(1), expected)


ATTENTION_OF_FIVE_PLACES = 5 * (16 * 48 + 16 * 16 + 2 * 16 * 32) + 2 * 5 * 5 * 16
GATES_OF_FIVE_STEPS = 5 * (4 + 8) * 4 * 8


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), ATTENTION_OF_FIVE_PLACES),
        (nn.LSTM(4, 8, batch_first=True), GATES_OF_FIVE_STEPS),
    ],
    ids=["transformer", "lstm"],
)
def test_what_a_cpu_runs_as_one_operation_is_counted_by_its_parts(network: nn.Module, expected: int) -> None:
    shape = (5, 16) if isinstance(network, nn.TransformerEncoderLayer) else (5, 4)
    with torch.no_grad():
        assert multiply_adds(network.eval(), shape) == expected


def test_attention_of_a_frozen_network_is_counted_as_that_of_one_that_trains() -> None:
    network = nn.Sequential(*(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True) for _ in range(2)))
    assert multiply_adds(network.eval().requires_grad_(False), (5, 16)) == 2 * ATTENTION_OF_FIVE_PLACES
    assert torch.backends.mha.get_fastpath_enabled(), "as it was"


@pytest.mark.parametrize(
    ("name", "shape"),
    [*product(STUDENTS.names, [(1, 28, 28), (3, 32, 32)]), ("mlp", (20,)), ("resnet", (20,))],
)
def test_multiply_adds_are_those_of_pytorchs_own_counter(name: str, shape: tuple[int, ...]) -> None:
    network = STUDENTS.get(name)().build(shape, 10).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *shape))
    assert multiply_adds(network, shape) == counter.get_total_flops() // 2


class Product(nn.Module):
    """Multiplies its inputs, [batch, 5, 4], by its own weights."""

    def __init__(self, multiply: Callable[..., torch.Tensor], *shape: int):
        super().__init__()
        self.multiply, self.weights = multiply, nn.Parameter(torch.ones(shape))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.multiply(inputs, self.weights)


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Product(lambda x, w: x @ w, 4), 5 * 4),
        (Product(lambda x, w: x @ w, 4, 3), 5 * 4 * 3),
        (Product(lambda x, w: torch.stack([torch.addmv(w[:5], each, w[:4]) for each in x]), 5), 5 * 4),
        (Product(lambda x, w: torch.stack([torch.dot(each.flatten(), w) for each in x]), 20), 5 * 4),
        (Product(lambda x, w: torch.addbmm(w, x, x.mT), 5, 5), 5 * 4 * 5),
        (Product(lambda x, w: torch.einsum("btd,d->bt", x, w), 4), 5 * 4),
        (Product(lambda x, w: nn.functional.bilinear(x, x, w), 3, 4, 4), 5 * 3 * 4 * 4),
    ],
    ids=["vector", "matrix", "addmv", "dot", "addbmm", "einsum", "bilinear"],
)
def test_every_way_to_write_a_product_is_counted(network: nn.Module, expected: int) -> None:
    assert multiply_adds(network, (5, 4)) == expected


class NeverAlone(nn.Module):
    """Drops the batch axis of a single sample, as `squeeze()` without an axis does."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.linear(inputs.squeeze()).log_softmax(dim=1)


def test_a_network_that_takes_no_single_sample_is_counted(  # teachers are counted after all trials and confirmations
) -> None:
    assert multiply_adds(NeverAlone(), (4,)) == 12


def test_looking_at_a_network_loads_no_compiler() -> None:
    lines = (
        "import sys",
        "from distill_tune.students import count_cost, empty_network",
        "from distill_tune.registry import STUDENTS",
        "for name in STUDENTS.names: count_cost(STUDENTS.get(name)(), (1, 28, 28), 10)",
        "for name in STUDENTS.names: empty_network(STUDENTS.get(name)(), (1, 28, 28), 10)",
        "class Own(STUDENTS.get('mlp')):",
        "    def build(self, input_shape, classes):",
        "        import torch",
        "        return torch.nn.Embedding(classes, 3)",
        "assert empty_network(Own(), (1, 28, 28), 10).weight.is_meta",
        "assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
