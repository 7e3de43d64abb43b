"""Contract of every student family, built-in or custom."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from cases import CASES, FLAT, LARGE, OPTIONS, SMALL, family
from pydantic import ValidationError

from distill_tune.errors import ConfigError
from distill_tune.registry import STUDENTS
from distill_tune.students import build_student, count_cost


@pytest.mark.parametrize("name", STUDENTS.names)
def test_every_family_has_its_cases_here(name: str) -> None:
    for cases in ("OPTIONS", "SMALL", "LARGE"):
        assert name in globals()[cases], f"{Path(__file__).name}: add options of the student family {name!r} to {cases}"


@pytest.mark.parametrize(("name", "options"), FLAT)
def test_logits_have_one_number_a_class_for_every_shape(name: str, options: Mapping[str, object]) -> None:
    for shape in [shape for case, shape in CASES if case == name]:
        logits = family(name, options).build(shape, 7)(torch.randn(3, *shape))
        assert logits.shape == (3, 7)
        assert logits.dtype == torch.float32


@pytest.mark.parametrize(("name", "options"), FLAT)
def test_gradients_reach_every_parameter(name: str, options: Mapping[str, object]) -> None:
    torch.manual_seed(0)
    for shape in [shape for case, shape in CASES if case == name and shape != (1,)]:
        network = family(name, options).build(shape, 5)
        logits = network(torch.randn(32, *shape))
        torch.nn.functional.cross_entropy(logits, torch.arange(32) % 5).backward()
        for key, parameter in network.named_parameters():
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key
            if options.get("widths") != [1]:  # a single unit can be silent
                assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_the_same_seed_builds_the_same_network(name: str, shape: tuple[int, ...]) -> None:
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(family(name).build(shape, 3).state_dict())
    weights = [torch.cat([value.flatten().float() for value in state.values()]) for state in states]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_a_state_dict_carries_the_whole_student_over(name: str, shape: tuple[int, ...]) -> None:
    channels = shape[0]
    ours = build_student(family(name), shape, 4, [0.5] * channels, [2.0] * channels).eval()
    other = build_student(family(name), shape, 4, [0.0] * channels, [1.0] * channels).eval()
    inputs = torch.randn(2, *shape)
    assert not torch.allclose(ours(inputs), other(inputs))
    other.load_state_dict(ours.state_dict())
    assert torch.equal(ours(inputs), other(inputs))
    assert {key.partition(".")[0] for key in ours.state_dict()} == {"normalise", "network"}
    assert all(value.is_contiguous() for value in ours.state_dict().values())


@pytest.mark.parametrize(("name", "options"), FLAT)
def test_the_cost_is_that_of_the_real_module(name: str, options: Mapping[str, object]) -> None:
    for shape in [shape for case, shape in CASES if case == name]:
        student = build_student(family(name, options), shape, 9, [0.0] * shape[0], [1.0] * shape[0])
        cost = count_cost(family(name, options), shape, 9)
        assert cost.parameters == sum(parameter.numel() for parameter in student.parameters())
        assert cost.multiply_adds > 0


@pytest.mark.parametrize("name", list(OPTIONS))
def test_a_family_spans_thousands_to_a_million_parameters(name: str) -> None:
    assert count_cost(family(name, SMALL[name]), (1, 8, 8), 10).parameters < 5_000
    assert count_cost(family(name, LARGE[name]), (1, 28, 28), 10).parameters > 1_000_000


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mlp", {"width": 0}),
        ("mlp", {"depth": 0}),
        ("mlp", {"widths": []}),
        ("mlp", {"widths": [20, 0]}),
        ("mlp", {"widths": [20.5]}),
        ("mlp", {"dropout": 1.0}),
        ("mlp", {"dropout": -0.1}),
        ("mlp", {"activation": "tanh"}),
        ("convnet", {"width": 1}),
        ("convnet", {"depth": 7}),
        ("convnet", {"kernel": 4}),
        ("convnet", {"norm": "layer"}),
        ("convnet", {"first_stride": 3}),
        ("resnet", {"stages": 0}),
        ("resnet", {"stages": 5}),
        ("resnet", {"width": "8"}),
        ("resnet", {"blocks": 2}),
    ],
)
def test_options_out_of_bounds_are_refused(name: str, options: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError):
        STUDENTS.get(name)(**options)


def test_rows_of_a_table_are_refused_by_the_convnet_which_names_the_others() -> None:
    with pytest.raises(
        ConfigError, match=r"convnet needs images .* but a sample is 16; for tables there are: mlp, resnet\.$"
    ):
        family("convnet").build((16,), 3)


def test_given_widths_are_the_widths_whatever_width_and_depth_say() -> None:
    network = family("mlp", {"widths": [100, 200, 300], "width": 5, "depth": 1}).build((1, 8, 8), 10)
    sizes = [layer.out_features for layer in network.modules() if isinstance(layer, torch.nn.Linear)]
    assert sizes == [100, 200, 300, 10]


@pytest.mark.parametrize("name", ["convnet", "resnet"])
def test_small_maps_are_not_halved_to_nothing(name: str) -> None:
    deepest = {"depth": 6} if name == "convnet" else {"stages": 4, "depth": 2, "width": 4}
    network = family(name, {"width": 4} | deepest).build((1, 8, 8), 10)
    sides: list[int] = []
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda _layer, _inputs, output: sides.append(output.shape[-1]))
    network(torch.randn(2, 1, 8, 8))
    assert min(sides) == 4


@pytest.mark.parametrize("name", ["convnet", "resnet"])
def test_large_images_are_halved_by_the_first_convolution_unless_told_otherwise(name: str) -> None:
    costs = [count_cost(family(name, {"first_stride": stride}), (1, 28, 28), 10) for stride in (None, 2, 1)]
    assert costs[0] == costs[1]
    assert costs[2].multiply_adds > 3 * costs[0].multiply_adds
    small = [count_cost(family(name, {"first_stride": stride}), (1, 8, 8), 10) for stride in (None, 1)]
    assert small[0] == small[1]
