"""Latency is measured on one thread, in evaluation mode, and leaves everything unchanged."""

import threading
from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn

from distill_tune.evaluation.latency import latency_ms

SEEN: list[tuple[torch.dtype, tuple[int, ...], int, bool, bool]] = []


class Watching(nn.Module):
    """Records how it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.BatchNorm1d(3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        threads = torch.get_num_threads()
        SEEN.append((inputs.dtype, tuple(inputs.shape), threads, self.training, torch.is_inference_mode_enabled()))
        output: torch.Tensor = self.layer(inputs.float())
        return output


@pytest.fixture
def two_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    SEEN.clear()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("image", "dtype"), [(True, torch.uint8), (False, torch.float32)])
@pytest.mark.usefixtures("two_threads")
def test_one_sample_runs_on_one_thread_in_evaluation_mode(image: bool, dtype: torch.dtype) -> None:
    module = Watching().train()
    assert latency_ms(module, (3,), image, repeats=5) > 0
    assert set(SEEN) == {(dtype, (1, 3), 1, False, True)}
    assert module.training
    assert torch.get_num_threads() == 2


def test_a_student_that_cannot_be_copied_is_measured_and_each_of_its_parts_keeps_its_mode() -> None:
    module = nn.Sequential(Watching(), nn.Dropout()).train()
    module[0].layer.eval()
    module[0].lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(TypeError, match="cannot pickle"):
        deepcopy(module)
    assert latency_ms(module, (3,), False, repeats=5) > 0
    assert [each.training for each in module.modules()] == [True, True, False, True]


@pytest.mark.usefixtures("two_threads")
def test_a_module_that_fails_does_not_keep_the_threads() -> None:
    with pytest.raises(RuntimeError):
        latency_ms(nn.Linear(2, 2), (3,), False)
    assert torch.get_num_threads() == 2


def twice(inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.relu(inputs @ weight) @ weight


class PartlyScripted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight, self.twice = nn.Parameter(torch.eye(4)), torch.jit.script(twice)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.twice(inputs, self.weight)
        return output


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("made", [lambda: torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.ReLU())), PartlyScripted])
def test_torchscript_of_which_another_has_just_been_trained_is_measured(made: Callable[[], nn.Module]) -> None:
    trained, other = made(), made()
    for _ in range(3):  # from the second pass on, all of its kind run what was optimised for gradients in the first
        trained(torch.randn(20, 4)).sum().backward()
    assert latency_ms(other, (4,), False, repeats=5) > 0
    assert not torch.is_inference_mode_enabled()
    assert torch.is_grad_enabled()
