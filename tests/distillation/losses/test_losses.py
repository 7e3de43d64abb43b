"""The losses on logits: properties that hold in any training, and an independent NumPy version."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from distill_tune.config.numbers import COLDEST, HOTTEST
from distill_tune.distillation.losses.soft_targets import SoftTargets, soft_target_loss
from distill_tune.registry import LOSSES

Array = np.ndarray

SHAPE = (5, 7)
LOGITS = arrays(np.float64, SHAPE, elements=st.floats(-30, 30))
SMALL = arrays(np.float64, SHAPE, elements=st.floats(-1, 1))
WITH_TEACHER = [n for n in LOSSES.names if LOSSES.get(n).uses_teacher and not LOSSES.get(n)().reads_features]
each_loss = pytest.mark.parametrize("name", WITH_TEACHER)
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
    """Softened, the teacher gives 3/4 and 1/4, the student 1/2 twice: 3/4 ln(3/2) + 1/4 ln(1/2) = 0.130812 nats."""
    teacher = np.log([[3.0**temperature, 1.0]])
    assert loss(np.zeros((1, 2)), teacher, temperature) == pytest.approx(0.13081203594113700 * temperature**2)


@each_loss
@pytest.mark.parametrize("temperature", [COLDEST, HOTTEST])
def test_at_the_ends_of_what_is_allowed_loss_and_gradient_are_finite_in_single_precision(
    name: str, temperature: float
) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (10 * torch.randn(32, 10, generator=generator) for _ in range(2))
    student.requires_grad_()
    found = LOSSES.get(name)().soft(student, teacher, temperature)
    found.backward()
    assert found.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_the_loss_is_the_mean_over_samples_and_not_over_classes() -> None:
    student, teacher = np.zeros((3, 100)), np.zeros((3, 100))
    teacher[0, 0] = 50.0  # almost certain: KL to the uniform student is ln 100
    assert loss(student, teacher, 1.0) == pytest.approx(np.log(100) / 3, rel=1e-6)


# Contract of every loss on logits, with default options; for those on features: test_feature_losses.py


def term(name: str, student: torch.Tensor, teacher: torch.Tensor, temperature: float = 4.0) -> torch.Tensor:
    value: torch.Tensor = LOSSES.get(name)().soft(student, teacher, temperature)
    return value


def drawn(samples: int = 8, classes: int = 5, seed: int = 0, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Random float64 logits of a student and a teacher."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = scale * torch.randn(2, samples, classes, generator=generator, dtype=torch.float64)
    return student, teacher


def gradient(name: str, student: torch.Tensor, teacher: torch.Tensor, temperature: float = 4.0) -> torch.Tensor:
    leaf = student.clone().requires_grad_()
    term(name, leaf, teacher, temperature).backward()
    assert leaf.grad is not None
    return leaf.grad


@each_loss
def test_a_loss_with_a_teacher_is_a_finite_scalar_that_moves_only_the_student(name: str) -> None:
    student, teacher = (logits.float().requires_grad_() for logits in drawn())
    value = term(name, student, teacher.detach())
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None


@each_loss
def test_a_loss_of_a_batch_seen_twice_is_that_of_the_batch(name: str) -> None:
    student, teacher = drawn()
    once, twice = term(name, student, teacher), term(name, student.repeat(2, 1), teacher.repeat(2, 1))
    torch.testing.assert_close(once, twice)


@each_loss
@given(seed=st.integers(0, 99))
def test_equal_logits_have_a_loss_of_zero_and_no_others_have_a_smaller_one(name: str, seed: int) -> None:
    student, teacher = drawn(seed=seed)
    assert term(name, teacher, teacher).item() == pytest.approx(0, abs=1e-9)
    assert term(name, student, teacher) > 1e-6
    assert gradient(name, teacher, teacher).abs().max() < 1e-6


@each_loss
def test_a_student_whose_classes_stand_in_another_order_costs_more_only_where_the_loss_names_classes(name: str) -> None:
    teacher = drawn()[1]
    costs = term(name, teacher.roll(1, dims=1), teacher).item()
    assert costs > 0.01 if LOSSES.get(name).names_classes else costs == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("name", [name for name in WITH_TEACHER if LOSSES.get(name).naming_weights])
def test_without_the_part_that_names_classes_a_student_that_confuses_them_costs_nothing(name: str) -> None:
    kind, teacher = LOSSES.get(name), 8 * torch.eye(5, dtype=torch.float64).repeat(2, 1)
    always_the_first = (0.1 * teacher.softmax(1) + 0.9 * torch.eye(5)[0]).log()
    student = {"dkd": -teacher, "dist": always_the_first, "mlkd": teacher.roll(1, dims=1)}[name]
    bare = kind(**dict.fromkeys(kind.naming_weights, 0.0))
    assert not bare.identifies(5)
    assert bare.soft(student, teacher, 1.0).item() == pytest.approx(0, abs=1e-9)
    assert (student.argmax(1) != teacher.argmax(1)).any()
    assert kind().identifies(5)
    assert kind().soft(student, teacher, 1.0) > 0.01


@each_loss
@given(classes=st.permutations(range(5)), samples=st.permutations(range(8)))
def test_the_order_of_classes_and_samples_does_not_matter_to_any_loss(
    name: str, classes: list[int], samples: list[int]
) -> None:
    student, teacher = drawn()
    permuted = term(name, student[samples][:, classes], teacher[samples][:, classes])
    torch.testing.assert_close(permuted, term(name, student, teacher))


@each_loss
@pytest.mark.parametrize("samples", [1, 2, 5])
def test_the_gradient_is_that_of_small_differences(name: str, samples: int) -> None:
    student, teacher = drawn(samples, 3, seed=samples)
    assert torch.autograd.gradcheck(lambda logits: term(name, logits, teacher), student.requires_grad_())


@each_loss
def test_a_loss_moves_towards_the_teacher(name: str) -> None:
    student, teacher = drawn()
    step = gradient(name, student, teacher)
    nearer = student - 1e-3 * step / step.norm()
    assert term(name, nearer, teacher) < term(name, student, teacher)


@each_loss
@given(st.floats(1, 16), st.floats(1, 16), st.integers(0, 99))
def test_a_temperature_leaves_the_size_of_the_gradient_or_is_not_used(
    name: str, one: float, other: float, seed: int
) -> None:
    student, teacher = drawn(seed=seed, scale=0.5)
    sizes = [gradient(name, student, teacher, temperature).norm().item() for temperature in (one, other)]
    if LOSSES.get(name).uses_temperature:
        assert max(sizes) < 10 * min(sizes)
        assert term(name, student, teacher, 1.0) != term(name, student, teacher, 8.0)
    else:
        assert sizes[0] == sizes[1]
        assert term(name, student, teacher, one) == term(name, student, teacher, other)


@each_loss
def test_the_parts_of_a_batch_average_to_the_whole_unless_samples_are_compared(name: str) -> None:
    """Each of several workers has a part of the batch: a loss that compares samples differs there."""
    student, teacher = drawn()
    parts = torch.stack([term(name, student[rows], teacher[rows]) for rows in (slice(0, 4), slice(4, 8))])
    agree = torch.allclose(parts.mean(), term(name, student, teacher))
    assert agree == (not LOSSES.get(name).compares_samples)


@each_loss
@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (torch.zeros(6, 4), 3 * torch.eye(6, 4)),
        (3 * torch.eye(6, 4), torch.zeros(6, 4)),
        (torch.zeros(6, 4), torch.zeros(6, 4)),
        (1e3 * torch.eye(6, 4), -1e3 * torch.eye(6, 4)),
        (torch.ones(1, 4), torch.eye(1, 4)),
        (torch.eye(6, 2), -torch.eye(6, 2)),
    ],
    ids=["student knows nothing", "teacher knows nothing", "both", "far apart", "one sample", "two classes"],
)
def test_a_loss_and_its_gradient_stay_finite(name: str, student: torch.Tensor, teacher: torch.Tensor) -> None:
    assert term(name, student, teacher).isfinite()
    assert gradient(name, student, teacher).isfinite().all()


@each_loss
@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1, -1, 2, -1, 4, 3, 0])], ids=["mixed", "some unknown"])
def test_a_loss_can_do_with_labels_that_are_missing(name: str, labels: torch.Tensor | None) -> None:
    student, teacher = drawn()
    value = LOSSES.get(name)().soft_with_labels(student.requires_grad_(), teacher, 4.0, labels)
    value.backward()
    assert value.isfinite()
    assert student.grad is not None
    assert student.grad.isfinite().all()


@pytest.mark.parametrize("name", LOSSES.names)
def test_a_loss_says_whether_its_labels_are_smoothed(name: str) -> None:
    share = LOSSES.get(name)().smoothing_of_labels
    assert 0 <= share < 1
    assert not (share and LOSSES.get(name).uses_teacher)


def test_the_registered_soft_targets_are_the_function() -> None:
    student, teacher = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(2)).unbind()
    assert SoftTargets().soft(student, teacher, 3.0) == soft_target_loss(student, teacher, 3.0)
