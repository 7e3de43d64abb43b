"""A student is a network behind a normalisation that leaves its inputs unchanged."""

import numpy as np
import pytest
import torch
from torch import nn

from distill_tune.registry import STUDENTS
from distill_tune.students import Student, build_student


class Passing(Student):
    """Passes its inputs through, so that tests see what a network would."""

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
    """Overwrites its inputs."""

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return nn.ReLU(inplace=True)


@pytest.mark.parametrize("shape", [(5,), (1, 4, 4)])
def test_a_network_that_begins_in_place_leaves_its_inputs_as_they_were(shape: tuple[int, ...]) -> None:
    rows = torch.randn(7, *shape)
    before = rows.clone()
    with torch.inference_mode():
        assert torch.equal(build_student(InPlace(), shape, 2)(rows), before.relu())
    assert torch.equal(rows, before)
