"""Custom student families: functions and classes of a module, and their options."""

import sys
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from distill_tune.config import Config
from distill_tune.config.validate import validate
from distill_tune.errors import ConfigError
from distill_tune.registry import STUDENTS
from distill_tune.students import Cost, Student, build_student, count_cost


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


class Ring(Net):
    """One of its parts refers to the whole."""

    def __init__(self, input_shape: tuple[int, ...], classes: int):
        super().__init__(input_shape, classes, width=1)
        self.layer.whole = self


class Noting(Net):
    """Has a state dict entry that is not a tensor."""

    def __init__(self, input_shape: tuple[int, ...], classes: int):
        super().__init__(input_shape, classes, width=4)

    def get_extra_state(self) -> Any:
        return {"version": 2}


class Endless(Net):
    def __init__(self, input_shape: tuple[int, ...], classes: int):
        super().__init__(input_shape, classes, width=1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.forward(inputs)


def endless(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return endless(input_shape, classes)


def free(input_shape: tuple[int, ...], classes: int, **options: Any) -> nn.Module:
    return small(input_shape, classes, **options)


def truncated(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Redraws its weights until all lie between bounds that exclude zero."""
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


def probabilities(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], classes), nn.Softmax(1))


def log_probabilities(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Sequential(nn.Linear(input_shape[0], classes), nn.LogSoftmax(1))


def wrong_inputs(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Linear(input_shape[0] + 1, classes)


def no_classes(input_shape: tuple[int, ...]) -> nn.Module:
    return nn.Linear(input_shape[0], 2)


def taken(input_shape: tuple[int, ...], classes: int, copy: int = 1) -> nn.Module:
    return nn.Linear(input_shape[0], classes)


@pytest.fixture(autouse=True)
def mine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this file's functions importable as the module `mine`."""
    module = ModuleType("mine")
    bad = (number, no_classes, wrong_logits, wrong_inputs, probabilities, Endless, endless, Noting, Ring)
    for entry in (small, Net, free, curious, truncated, taken, log_probabilities, *bad):
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


def test_logarithms_of_probabilities_are_as_good_as_logits() -> None:
    assert count_cost(STUDENTS.get("mine:log_probabilities")(), (4,), 2).parameters == 5 * 2


class Headed(Student):
    """Has no network for some widths, like attention whose heads must divide the width."""

    width: int = 8
    raised: ClassVar[Exception] = ValueError("heads must divide the width")

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        if self.width % 4:
            raise self.raised
        return small(input_shape, classes, self.width)


@pytest.mark.parametrize("raised", [ValueError("heads must divide the width"), FileNotFoundError("heads.txt")])
def test_a_family_that_has_no_network_for_some_options_is_refused_for_these_alone(
    raised: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Headed, "raised", raised)
    assert count_cost(Headed(width=8), (4,), 2).parameters == 5 * 8 + 9 * 2
    said = rf"student\.family: Headed\.build in test_users_families\.py, line \d+, has raised .*{raised}; mend it"
    with pytest.raises(ConfigError, match=said):
        count_cost(Headed(width=6), (4,), 2)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("mine:wrong_logits", r"must give logits of shape \(1, 2\), but gave \(1, 3\)"),
        (
            "mine:probabilities",
            r"must give logits, but gave numbers that sum to 1, as probabilities do; leave its softm",
        ),
        ("mine:wrong_inputs", r"cannot take a sample of shape \(1, 4\): RuntimeError: .*[^.]; mend its forward\.$"),
        ("mine:Endless", r"cannot take a sample of shape \(1, 4\): RecursionError: .*; mend its forward\.$"),
        ("mine:endless", r"cannot build \{\} for .* RecursionError: .*; mend it, or give it other options\.$"),
        ("mine:Noting", r"state dict must hold tensors alone, but has '_extra_state', which is none; make it a buffer"),
        ("mine:Ring", r"^student\.family: a module of the network is a part of itself, .*; keep .* in a list, which "),
    ],
)
def test_a_users_network_that_does_not_fit_is_found_by_counting_in_one_line(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        count_cost(STUDENTS.get(path)(), (4,), 2)
    assert "\n" not in str(caught.value)
