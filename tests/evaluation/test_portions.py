"""How many samples go through a network at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distill_tune.evaluation.portions import MOST, samples_at_a_time
from distill_tune.evaluation.predicting import predict_logits, quickest_look_s


@given(st.lists(st.integers(1, 512), min_size=1, max_size=3), st.sampled_from(["cpu", "cuda", "mps"]))
def test_a_larger_sample_never_goes_with_more_of_its_kind(shape: list[int], device: str) -> None:
    here, larger = samples_at_a_time(shape, device), samples_at_a_time([*shape[:-1], 2 * shape[-1]], device)
    assert 1 <= larger <= here <= MOST


@pytest.mark.parametrize(
    ("shape", "device", "least", "most"),
    [((16,), "cpu", MOST, MOST), ((1, 28, 28), "cpu", 100, 300), ((1, 28, 28), "cuda", MOST, MOST)],
)
def test_rows_of_a_table_go_by_the_thousand_and_images_as_many_as_a_cache_holds(
    shape: tuple[int, ...], device: str, least: int, most: int
) -> None:
    assert least <= samples_at_a_time(shape, device) <= most


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_photographs_take_less_than_a_gigabyte_in_a_wide_first_layer(device: str) -> None:
    assert samples_at_a_time((3, 224, 224), device) * 64 * 112 * 112 * 4 < 1e9


def test_how_many_go_at_a_time_changes_no_answer() -> None:
    seen: list[int] = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 3)).eval()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    inputs = np.random.default_rng(0).random((700, 1, 28, 28), np.float32)
    logits = predict_logits(network, inputs)
    assert len(seen) > 1
    with torch.inference_mode():
        np.testing.assert_allclose(logits, network(torch.from_numpy(inputs)).numpy(), atol=1e-6)


def test_a_look_is_timed_at_all_that_it_is_given_so_that_its_seconds_can_be_divided_by_them() -> None:
    seen: list[int] = []
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 3)).eval()
    network.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    assert quickest_look_s(network, np.zeros((700, 1, 28, 28), np.float32)) > 0
    assert sum(seen) == 3 * 700


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_student_that_has_just_been_trained_predicts() -> None:
    network: nn.Module = torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)))
    rows = torch.randn(20, 4)
    for _ in range(3):  # from the second pass on, TorchScript runs what it optimised for gradients in the first
        network(rows).sum().backward()
    logits = predict_logits(network, rows.numpy())
    np.testing.assert_allclose(logits, network(rows).detach().numpy(), rtol=1e-6)
