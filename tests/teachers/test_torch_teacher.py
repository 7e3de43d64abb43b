"""A PyTorch teacher: a factory and its weights, which determine the key of its kept outputs."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_teachers import ROWS_OF_FIVE
from torch import nn
from torch_models import IMAGES, ends_in_log_softmax, load, network, of_rows, refused, weights_of, wrapped

from distill_tune.config.sections import TeacherConfig
from distill_tune.users_code import source_of


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_the_teacher_is_the_network_behind_the_datas_normalisation(tmp_path: Path, name: str) -> None:
    own = network(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / name))
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(loaded.module(pixels), own((pixels.float() - 100) / 50))
    assert loaded.parameters == sum(p.numel() for p in own.parameters())


@pytest.mark.parametrize(
    ("around", "trust"),
    [
        (lambda own: {"epoch": 7, "state_dict": own.state_dict(), "optimizer": {"lr": 0.1}}, False),
        (lambda own: {"model_state_dict": own.state_dict()}, False),
        (lambda own: {"model": nn.DataParallel(own).state_dict()}, False),
        (lambda own: nn.DataParallel(own).state_dict(), False),
        (lambda own: {f"_orig_mod.{name}": value for name, value in own.state_dict().items()}, False),
        (lambda own: {f"_orig_mod.{name}": value for name, value in nn.DataParallel(own).state_dict().items()}, False),
        (lambda own: own, True),
        (lambda own: {"epoch": 7, "model": own}, True),
    ],
)
def test_checkpoints_and_whole_networks_are_read(
    tmp_path: Path, around: Callable[[nn.Module], Any], trust: bool
) -> None:
    own = network(seed=5).eval()
    torch.save(around(own), tmp_path / "w.pt")
    loaded = load(tmp_path / "w.pt", trust=trust)
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(loaded.module(pixels), own((pixels.float() - 100) / 50))


def test_a_network_with_a_part_named_as_a_wrapper_keeps_it(tmp_path: Path) -> None:
    own = wrapped(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / "w.pt"), factory="wrapped")
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    torch.testing.assert_close(loaded.module(pixels), own((pixels.float() - 100) / 50))


def test_its_own_mean_and_std_are_of_pixels_divided_by_255(tmp_path: Path) -> None:
    own = network(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / "w.pt"), mean=[0.25], std=[0.5])
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    expected = own((pixels.float() / 255 - 0.25) / 0.5)
    torch.testing.assert_close(loaded.module(pixels), expected, rtol=1e-4, atol=1e-5)


def test_logarithms_of_probabilities_have_no_shift_of_their_own_for_each_sample(tmp_path: Path) -> None:
    own = ends_in_log_softmax(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / "w.pt"), factory="ends_in_log_softmax")
    assert loaded.module is not None
    pixels = torch.randint(256, (9, 1, 4, 4), dtype=torch.uint8)
    logits = own[0]((pixels.float() - 100) / 50)
    expected = logits - logits.mean(1, keepdim=True)
    torch.testing.assert_close(loaded.module(pixels), expected)
    torch.testing.assert_close(pickle.loads(pickle.dumps(loaded.module))(pixels), expected)


def test_rows_of_a_table_reach_the_network_as_they_are(tmp_path: Path) -> None:
    own = of_rows(seed=5).eval()
    loaded = load(weights_of(own, tmp_path / "w.pt"), ROWS_OF_FIVE, "of_rows")
    assert loaded.module is not None
    rows = torch.randn(9, 5)
    assert torch.equal(loaded.module(rows), own(rows))


def test_the_factory_gets_its_arguments(tmp_path: Path) -> None:
    load(weights_of(network(outputs=3), tmp_path / "w.pt"), arguments={"inputs": 16, "outputs": 3})
    refused(
        weights_of(network(outputs=4), tmp_path / "w.pt"), r"teacher\.path: .* do not fit", arguments={"outputs": 3}
    )


def test_the_teacher_is_frozen_and_in_eval_mode(tmp_path: Path) -> None:
    loaded = load(weights_of(network(), tmp_path / "w.pt"))
    assert loaded.module is not None
    assert not any(module.training for module in loaded.module.modules())
    assert not any(parameter.requires_grad for parameter in loaded.module.parameters())


def test_the_identity_follows_weights_options_and_the_factorys_module(tmp_path: Path) -> None:
    path = weights_of(network(), tmp_path / "w.pt")

    def identity(**options: Any) -> str:
        table = {"factory": "torch_models:network"} | options
        config = TeacherConfig(source="torch", path=str(path), torch=table)  # type: ignore[call-arg]
        told: str = config.chosen("source").identity(config, IMAGES)
        return told

    first = identity()
    assert identity() == first
    assert identity(factory="torch_models:of_rows") != first
    assert source_of(network) in first
    assert identity(arguments={"seed": 1}) != first
    weights_of(network(seed=1), path)
    assert identity() != first
