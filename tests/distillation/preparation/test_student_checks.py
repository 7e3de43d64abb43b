"""A custom network is one whose weights say all of it, since it is kept as a state dict."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import TABLE, run_space
from torch import Tensor, nn

from distill_tune.data import Dataset
from distill_tune.distillation.preparation.prepare import announced_data, check_students
from distill_tune.errors import InputError

HERE = "test_student_checks"


class Projected(nn.Module):
    """Projects rows at random, which its state dict says or does not say."""

    def __init__(self, input_shape: tuple[int, ...], classes: int, persistent: bool = False, seed: int | None = None):
        super().__init__()
        draw = None if seed is None else torch.Generator().manual_seed(seed)
        self.projection: Tensor
        self.register_buffer("projection", torch.randn(*input_shape, 5, generator=draw), persistent=persistent)
        self.head = nn.Linear(5, classes)

    def forward(self, rows: Tensor) -> Tensor:
        logits: Tensor = self.head(rows @ self.projection)
        return logits


class Noisy(Projected):
    """Never gives the same logits twice, whatever its weights."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows + torch.randn_like(rows))


def check(family: str, part: str, folder: Path, **options: Any) -> None:
    """Check a space whose student, or teacher trained here, is of this family."""
    name = f"{HERE}:{family}"
    space = run_space(TABLE, **{part: {"family": name, name: options}})
    dataset: Dataset = announced_data(space.config, folder, lambda line: None)
    check_students(space, dataset)


@pytest.mark.parametrize("part", ["student", "teacher"])
def test_numbers_that_a_state_dict_lacks_are_refused_unless_they_are_always_the_same(part: str, tmp_path: Path) -> None:
    said = rf"^{part}\.family: '{HERE}:Projected' keeps numbers outside its state dict, .* from a fixed seed\.$"
    with pytest.raises(InputError, match=said):
        check("Projected", part, tmp_path)
    check("Projected", part, tmp_path, persistent=True)
    check("Projected", part, tmp_path, seed=3)


def test_a_network_that_answers_at_random_is_not_said_to_keep_numbers(tmp_path: Path) -> None:
    check("Noisy", "student", tmp_path, persistent=True)


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_student_is_compared_right_after_it_has_been_tried_in_training(tmp_path: Path) -> None:
    for _ in range(3):  # from the second on, TorchScript runs what it optimised for gradients in the first
        check("scripted", "student", tmp_path)


def scripted(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    made: nn.Module = torch.jit.script(nn.Sequential(nn.Linear(*input_shape, 8), nn.ReLU(), nn.Linear(8, classes)))
    return made


def test_the_random_numbers_of_the_process_are_as_before(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    check("Projected", "student", tmp_path, persistent=True)
    assert torch.equal(torch.get_rng_state(), before)
