"""Normalisation, cost and users' own families."""

import subprocess
import sys
from itertools import product
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from distill_tune.config import Config
from distill_tune.config.validate import validate
from distill_tune.errors import ConfigError
from distill_tune.registry import STUDENTS
from distill_tune.students import Cost, Student, build_student, count_cost, multiply_adds


class Passing(Student):
    """Hands on what it is given, so that a test sees what the network would."""

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return nn.Flatten()


def test_uint8_images_are_normalised_a_channel() -> None:
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).reshape(2, 3, 4, 4)
    mean, std = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
    got = build_student(Passing(), (3, 4, 4), 2, mean, std)(images)
    expected = (images.numpy() - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    np.testing.assert_allclose(got.numpy(), expected.reshape(2, -1), rtol=1e-6)


def test_float_images_give_what_uint8_images_give() -> None:
    student = build_student(STUDENTS.get("convnet")(), (1, 8, 8), 10, [5.0], [6.0]).eval()
    images = torch.randint(17, (4, 1, 8, 8), dtype=torch.uint8)
    assert torch.equal(student(images), student(images.double()))


def test_a_constant_channel_does_not_become_nan() -> None:
    student = build_student(Passing(), (1, 4, 4), 2, [7.0], [0.0])
    assert torch.equal(student(torch.full((1, 1, 4, 4), 7, dtype=torch.uint8)), torch.zeros(1, 16))


def test_images_without_mean_and_std_still_become_floats() -> None:
    student = build_student(Passing(), (1, 2, 2), 2)
    got = student(torch.full((1, 1, 2, 2), 9, dtype=torch.uint8))
    assert got.dtype == torch.float32
    assert torch.equal(got, torch.full((1, 4), 9.0))


def test_rows_that_are_normalised_already_are_left_alone() -> None:
    student = build_student(STUDENTS.get("mlp")(), (5,), 2)
    assert all(key.startswith("network.") for key in student.state_dict())
    scaled = build_student(Passing(), (2,), 2, [1.0, 2.0], [1.0, 2.0])
    assert torch.equal(scaled(torch.tensor([[2.0, 6.0]])), torch.tensor([[1.0, 2.0]]))


class InPlace(Student):
    """Writes into what it is given."""

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return nn.ReLU(inplace=True)


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4)])
def test_a_network_that_begins_in_place_leaves_its_inputs_as_they_were(shape: tuple[int, ...]) -> None:
    rows = torch.randn(7, *shape)
    before = rows.clone()
    with torch.inference_mode():
        assert torch.equal(build_student(InPlace(), shape, 2)(rows), before.relu())
    assert torch.equal(rows, before)


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


@pytest.mark.parametrize(
    ("name", "shape"),
    [*product(STUDENTS.names, [(1, 28, 28), (3, 32, 32)]), ("mlp", (20,)), ("resnet", (20,))],
)
def test_multiply_adds_are_those_of_pytorchs_own_counter(name: str, shape: tuple[int, ...]) -> None:
    network = STUDENTS.get(name)().build(shape, 10).eval()
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, *shape))
    assert multiply_adds(network, shape) == counter.get_total_flops() // 2


def test_counting_loads_no_compiler() -> None:
    lines = (
        "import sys",
        "from distill_tune.students import count_cost",
        "from distill_tune.registry import STUDENTS",
        "for name in STUDENTS.names: count_cost(STUDENTS.get(name)(), (1, 28, 28), 10)",
        "assert 'torch' in sys.modules and 'torch._dynamo' not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


# What follows is a user's module.


def small(input_shape: tuple[int, ...], classes: int, width: int = 8, sizes: tuple[int, ...] = ()) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = int(np.prod(input_shape))
    for size in sizes or (width,):
        layers += [nn.Linear(inputs, size), nn.ReLU()]
        inputs = size
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


class Net(nn.Module):
    def __init__(self, input_shape: tuple[int, ...], classes: int, *, width: "int"):
        super().__init__()
        self.layer = nn.Linear(input_shape[0], classes)
        self.width = width

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layer(inputs)
        return logits


def free(input_shape: tuple[int, ...], classes: int, **options: Any) -> nn.Module:
    return small(input_shape, classes, **options)


def truncated(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Its weights are drawn until all of them lie between bounds that zero is not within."""
    layer = nn.Linear(input_shape[0], classes)
    nn.init.trunc_normal_(layer.weight, a=0.2, b=2.0)
    return layer


def curious(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Divides by a number that it draws."""
    odds = 1 / torch.zeros(()).uniform_(0.1, 0.5).item()
    return nn.Sequential(nn.Flatten(), nn.Dropout(1 / odds), nn.Linear(int(np.prod(input_shape)), classes))


def number(input_shape: tuple[int, ...], classes: int) -> Any:
    return 5


def wrong_logits(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Linear(input_shape[0], classes + 1)


def wrong_inputs(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Linear(input_shape[0] + 1, classes)


def no_classes(input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Linear(input_shape[0], 2)


def taken(input_shape: tuple[int, ...], classes: int, copy: int = 1) -> nn.Module:
    return nn.Linear(input_shape[0], classes)


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """This file's functions as the importable module `mine`."""
    module = ModuleType("mine")
    for entry in (small, Net, free, curious, truncated, number, no_classes, taken, wrong_logits, wrong_inputs):
        setattr(module, entry.__name__, entry)
    monkeypatch.setitem(sys.modules, "mine", module)


def config(path: str, **options: Any) -> Config:
    return validate({"data": {"source": "digits"}, "student": {"family": path, path: options}})


def test_a_users_function_is_a_family_with_its_parameters_as_options() -> None:
    family = STUDENTS.get("mine:small")(width=3)
    assert list(type(family).model_fields) == ["width", "sizes"]
    assert build_student(family, (1, 4, 4), 5)(torch.zeros(2, 1, 4, 4)).shape == (2, 5)
    assert count_cost(family, (1, 4, 4), 5) == Cost(16 * 3 + 3 + 3 * 5 + 5, 16 * 3 + 3 * 5)


def test_a_users_function_gets_lists_as_the_tuples_that_it_asks_for() -> None:
    assert STUDENTS.get("mine:small")(sizes=[3, 4]).sizes == (3, 4)


def test_a_users_module_class_is_a_family() -> None:
    network = STUDENTS.get("mine:Net")(width=3).build((6,), 2)
    assert isinstance(network, Net)
    assert network.width == 3


def test_a_users_function_with_free_options_gets_them_all() -> None:
    assert count_cost(STUDENTS.get("mine:free")(width=4), (4,), 2).multiply_adds == 4 * 4 + 4 * 2


def test_a_network_that_draws_until_its_numbers_fit_is_counted() -> None:
    assert count_cost(STUDENTS.get("mine:truncated")(), (4,), 2) == Cost(4 * 2 + 2, 4 * 2)


def test_a_users_network_that_needs_its_numbers_is_counted_all_the_same() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert count_cost(STUDENTS.get("mine:curious")(), (4,), 2) == Cost(4 * 2 + 2, 4 * 2)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("mine:small", {"widht": 3}, r"widht: unknown key\. Did you mean 'width'\?"),
        ("mine:small", {"width": "wide"}, r"width: must be an integer.*'wide'"),
        ("mine:Net", {}, r"width: this key is required"),
        ("mine:no_classes", {}, r"must take input_shape and classes, but has no classes\.$"),
        ("mine:taken", {}, r"no option can be called 'copy'"),
        ("mine:absent", {}, r"has no 'absent'"),
    ],
)
def test_what_a_users_function_cannot_take_is_one_line(path: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        config(path, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("mine:number", {}, r"must return a torch\.nn\.Module, but got int"),
        ("mine:free", {"depth": 3}, r"cannot build \{'depth': 3\} .* TypeError: .*'depth'"),
        ("mine:small", {"width": -1}, r"cannot build .* RuntimeError: "),
    ],
)
def test_a_users_function_that_fails_is_one_line(path: str, options: dict[str, Any], message: str) -> None:
    for build in (lambda family: family.build((4,), 2), lambda family: count_cost(family, (4,), 2)):
        with pytest.raises(ConfigError, match=message) as caught:
            build(STUDENTS.get(path)(**options))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mine:wrong_logits", r"must give logits of shape \(1, 2\), but gave \(1, 3\)"),
        ("mine:wrong_inputs", r"cannot take a sample of shape \(1, 4\): RuntimeError: "),
    ],
)
def test_a_users_network_that_does_not_fit_is_found_by_counting_in_one_line(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        count_cost(STUDENTS.get(path)(), (4,), 2)
    assert "\n" not in str(caught.value)
