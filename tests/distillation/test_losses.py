"""The losses: what they must satisfy whatever is trained with them, and an independent NumPy version."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distill_tune.distillation.losses.soft_targets import SoftTargets, soft_target_loss
from distill_tune.registry import LOSSES

Array = np.ndarray

SHAPE = (5, 7)
LOGITS = arrays(np.float64, SHAPE, elements=st.floats(-30, 30))
SMALL = arrays(np.float64, SHAPE, elements=st.floats(-1, 1))
WITH_TEACHER = [name for name in LOSSES.names if LOSSES.get(name).uses_teacher]
TEMPERATURES = st.floats(0.5, 32)


def numpy_loss(student: Array, teacher: Array, temperature: float) -> float:
    """T^2 * KL(teacher || student), written out over probabilities instead of log-probabilities."""

    def softened(logits: Array) -> Array:
        powers = np.exp((logits - logits.max(1, keepdims=True)) / temperature)
        return powers / powers.sum(1, keepdims=True)

    p, q = softened(teacher), softened(student)
    terms = np.where(p > 0, p * (np.log(np.maximum(p, 1e-300)) - np.log(np.maximum(q, 1e-300))), 0.0)
    return float(temperature**2 * terms.sum() / len(student))


def loss(student: Array, teacher: Array, temperature: float) -> float:
    return soft_target_loss(torch.from_numpy(student), torch.from_numpy(teacher), temperature).item()


def gradient_size(student: Array, teacher: Array, temperature: float) -> float:
    leaf = torch.from_numpy(student).requires_grad_()
    soft_target_loss(leaf, torch.from_numpy(teacher), temperature).backward()
    assert leaf.grad is not None
    return float(leaf.grad.norm())


@given(LOGITS, LOGITS, TEMPERATURES)
def test_the_loss_is_what_numpy_computes_from_probabilities(student: Array, teacher: Array, temperature: float) -> None:
    assert loss(student, teacher, temperature) == pytest.approx(
        numpy_loss(student, teacher, temperature), rel=1e-6, abs=1e-9
    )


@given(LOGITS, TEMPERATURES)
def test_the_loss_of_equal_logits_is_zero(logits: Array, temperature: float) -> None:
    assert loss(logits, logits, temperature) == 0


@given(LOGITS, LOGITS, TEMPERATURES)
def test_the_loss_is_never_negative(student: Array, teacher: Array, temperature: float) -> None:
    assert loss(student, teacher, temperature) >= -1e-9


@given(LOGITS, LOGITS, TEMPERATURES, st.floats(-50, 50), st.floats(-50, 50))
def test_a_constant_added_to_all_logits_of_a_sample_changes_nothing(
    student: Array, teacher: Array, temperature: float, ours: float, theirs: float
) -> None:
    shifted = loss(student + ours, teacher + theirs, temperature)
    assert shifted == pytest.approx(loss(student, teacher, temperature), rel=1e-6, abs=1e-9)


@given(LOGITS, LOGITS, TEMPERATURES, st.permutations(range(SHAPE[1])))
def test_the_order_of_the_classes_does_not_matter(
    student: Array, teacher: Array, temperature: float, order: list[int]
) -> None:
    permuted = loss(student[:, order], teacher[:, order], temperature)
    assert permuted == pytest.approx(loss(student, teacher, temperature), rel=1e-6, abs=1e-9)


@given(SMALL, SMALL, st.floats(1, 16), st.floats(1, 16))
def test_the_gradient_has_about_the_same_size_at_every_temperature(
    student: Array, teacher: Array, one: float, other: float
) -> None:
    sizes = gradient_size(student, teacher, one), gradient_size(student, teacher, other)
    assume(max(sizes) > 1e-9)  # else student and teacher agree, up to a constant
    assert max(sizes) < 10 * min(sizes)  # without T^2: up to 256 times as large at 1 as at 16


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_two_classes_by_hand(temperature: float) -> None:
    """Softened, the teacher says 3/4 and 1/4 and the student 1/2 twice: 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812 nats."""
    teacher = np.log([[3.0**temperature, 1.0]])
    assert loss(np.zeros((1, 2)), teacher, temperature) == pytest.approx(0.13081203594113700 * temperature**2)


def test_the_loss_is_the_mean_over_samples_and_not_over_classes() -> None:
    student, teacher = np.zeros((3, 100)), np.zeros((3, 100))
    teacher[0, 0] = 50.0  # all but certain: KL to the even student is ln 100
    assert loss(student, teacher, 1.0) == pytest.approx(np.log(100) / 3, rel=1e-6)


@pytest.mark.parametrize("name", WITH_TEACHER)
def test_a_loss_with_a_teacher_is_a_finite_scalar_that_moves_only_the_student(name: str) -> None:
    entry: Any = LOSSES.get(name)()
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(8, 5, generator=generator, requires_grad=True) for _ in range(2))
    value = entry.soft(student, teacher.detach(), 4.0)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@pytest.mark.parametrize("name", WITH_TEACHER)
def test_a_loss_of_a_batch_seen_twice_is_that_of_the_batch(name: str) -> None:
    entry: Any = LOSSES.get(name)()
    student, teacher = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1)).unbind()
    once, twice = entry.soft(student, teacher, 2.0), entry.soft(student.repeat(2, 1), teacher.repeat(2, 1), 2.0)
    torch.testing.assert_close(once, twice)


def test_the_registered_soft_targets_are_the_function() -> None:
    student, teacher = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2)).unbind()
    assert SoftTargets().soft(student, teacher, 3.0) == soft_target_loss(student, teacher, 3.0)
