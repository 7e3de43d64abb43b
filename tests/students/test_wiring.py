"""Contract of a family's wiring, which declares how its layers connect, and what it cannot declare."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from cases import CASES, FLAT, family
from networks import vary_norms
from torch import nn

from distill_tune.errors import ConfigError
from distill_tune.registry import STUDENTS
from distill_tune.students import CLASSES, HEAD, INPUT, STEM, Layer, Student, Wiring, body, empty_network

SAID = [
    (name, options, shape)
    for name, options in FLAT
    for case, shape in CASES
    if case == name and STUDENTS.get(name).wiring is not Student.wiring
]
every_said = pytest.mark.parametrize(("name", "options", "shape"), SAID, ids=str)
Options = Mapping[str, object]
CLASSES_HERE = 7


def wired(name: str, options: Options, shape: tuple[int, ...]) -> Wiring:
    """The wiring of a network in eval mode, no two units of which do the same."""
    torch.manual_seed(0)
    network = family(name, options).build(shape, CLASSES_HERE).double().eval()
    vary_norms(network)
    told = family(name, options).wiring(network)
    assert told is not None
    return told


def weight_of(layer: Layer) -> torch.Tensor:
    assert isinstance(layer.module.weight, torch.Tensor)
    return layer.module.weight


@every_said
def test_every_number_of_the_network_is_in_one_layer(name: str, options: Options, shape: tuple[int, ...]) -> None:
    wiring = wired(name, options, shape)
    entries = [f"{layer.name}.{entry}" for layer in wiring.layers for entry in layer.module.state_dict()]
    assert sorted(entries) == sorted(wiring.network.state_dict())


@every_said
def test_layers_are_in_the_order_in_which_they_run(name: str, options: Options, shape: tuple[int, ...]) -> None:
    wiring, ran = wired(name, options, shape), list[str]()
    for layer in wiring.layers:
        layer.module.register_forward_hook(lambda *_, name=layer.name: ran.append(name))
    wiring.network(torch.randn(2, *shape).double())
    assert ran == [layer.name for layer in wiring.layers]
    assert wiring.layers[-1].place == HEAD


@every_said
def test_layers_agree_on_how_many_units_a_group_has(name: str, options: Options, shape: tuple[int, ...]) -> None:
    wiring = wired(name, options, shape)
    seen = [(layer.outputs, weight_of(layer).shape[0]) for layer in wiring.layers]
    seen += [(layer.inputs, weight_of(layer).shape[1]) for layer in wiring.layers if layer.inputs is not None]
    first = weight_of(next(layer for layer in wiring.layers if layer.inputs == INPUT))
    assert dict(seen) == wiring.sizes
    assert set(seen) == set(wiring.sizes.items())
    assert wiring.sizes[INPUT] == (shape[0] if first.dim() == 4 else torch.Size(shape).numel())
    assert wiring.sizes[CLASSES] == CLASSES_HERE


@every_said
@torch.no_grad()
def test_the_order_of_a_groups_units_makes_no_difference(name: str, options: Options, shape: tuple[int, ...]) -> None:
    wiring, inputs = wired(name, options, shape), torch.randn(3, *shape).double()
    expected = wiring.network(inputs)
    orders = {each: torch.arange(n) for each, n in wiring.sizes.items() if each in (INPUT, CLASSES)}
    orders = {each: torch.randperm(n) for each, n in wiring.sizes.items()} | orders
    for layer in wiring.layers:
        for tensor in layer.module.state_dict().values():
            if tensor.dim():
                tensor.copy_(tensor[orders[layer.outputs]])
        if layer.inputs is not None:
            weight_of(layer).copy_(weight_of(layer)[:, orders[layer.inputs]])
    torch.testing.assert_close(wiring.network(inputs), expected)


@every_said
def test_it_can_be_said_of_a_network_without_numbers(name: str, options: Options, shape: tuple[int, ...]) -> None:
    network = empty_network(family(name, options), shape, CLASSES_HERE)
    assert all(parameter.is_meta for parameter in network.parameters())
    told = family(name, options).wiring(network)
    assert told is not None
    assert told.sizes == wired(name, options, shape).sizes


class Silent(Student):
    numpy: bool = False

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        numbers = torch.linspace(0, 1, classes)
        return nn.Linear(input_shape[0], len(numbers.numpy() if self.numpy else numbers.tolist()))


def test_a_family_need_not_say_anything() -> None:
    with pytest.raises(NotImplementedError, match=r"Silent has no method wiring\."):
        Silent().wiring(nn.Linear(2, 2))


@pytest.mark.parametrize("numpy", [False, True])  # NumPy and plain PyTorch fail differently on the meta device
def test_a_family_that_needs_numbers_is_built_with_them_and_draws_none_of_the_trainings(numpy: bool) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert not empty_network(Silent(numpy=numpy), (4,), 2).weight.is_meta  # type: ignore[union-attr]
    assert torch.equal(torch.rand(1), expected)


def test_what_is_wrong_with_numbers_too_is_said() -> None:
    with pytest.raises(IndexError):
        empty_network(Silent(), (), 2)


FIRST = (body(0), "main", "0", INPUT, 2)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([(STEM, "main", "1", INPUT, 2)], "'1' must have a weight, but is ReLU."),
        ([(STEM, "norm", "2", INPUT, 2)], "'2' has one number a unit, so its inputs must be None, but got 0."),
        (
            [FIRST, (HEAD, "main", "3", None, CLASSES)],
            "'3' has 4 columns a unit, so its inputs must be the group that they read, but got None.",
        ),
        ([FIRST, (HEAD, "main", "3", INPUT, CLASSES)], "'3' reads 4 units of group 0, which has 6."),
        ([FIRST, (HEAD, "main", "3", 3, CLASSES)], "'3' reads group 3, which new_group has not given."),
        ([FIRST, (HEAD, "main", "3", 2, 2)], "'3' makes 5 units of group 2, which has 4."),
        ([FIRST, FIRST], "'0' as 'main' of ('body', 0, 0): the name, or the role there, is taken."),
        ([FIRST, (FIRST[0], "main", "2", None, 2)], "'2' as 'main' of ('body', 0, 0): the name, or the role there"),
        ([(body(1), "main", "0", INPUT, 2)], "'0' must be at ('stem', 0, 0), ('head', 0, 0), or the next place"),
        (
            [FIRST, (body(0, 2), "norm", "2", None, 2)],
            "or the next place [('body', 1, 0), ('body', 0, 1)], but got",
        ),
    ],
)
def test_a_layer_that_does_not_fit_is_refused_where_it_is_added(layers: list[Any], message: str) -> None:
    wiring = Wiring(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 5)))
    assert wiring.new_group() == 2
    for layer in layers[:-1]:
        wiring.add(*layer)
    with pytest.raises(ConfigError) as caught:
        wiring.add(*layers[-1])
    assert message in str(caught.value)
    assert len(wiring.layers) == len(layers) - 1


def test_one_filter_or_number_a_unit_reads_no_group() -> None:
    wiring = Wiring(nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.BatchNorm2d(4)))
    group = wiring.add(STEM, "main", "0", None, wiring.new_group())
    assert wiring.add(STEM, "norm", "1", None, group) == group
    assert wiring.sizes == {group: 4}


@pytest.mark.parametrize("whole", [True, False])
def test_a_weight_under_two_names_is_added_once(whole: bool) -> None:
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    wiring = Wiring(nn.Sequential(first, first if whole else second))
    group = wiring.add(STEM, "main", "0", INPUT, wiring.new_group())
    with pytest.raises(ConfigError, match=r"'1' must have a weight of its own, but has that of '0'; add one of them\."):
        wiring.add(HEAD, "main", "1", group, CLASSES)


def test_a_place_of_the_body_is_its_stage_and_block() -> None:
    assert (body(2), body(2, 1)) == (("body", 2, 0), ("body", 2, 1))
