"""Losses on features: the contract that each keeps, and what it ignores."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from terms_on_features import SEEDS, Shapes, drawn, few, on_features, term_of
from torch import Tensor

from distill_tune.distillation.losses import FeatureLoss
from distill_tune.distillation.losses.attention import attention_loss
from distill_tune.distillation.losses.hint import hint_loss
from distill_tune.distillation.losses.pkt import neighbour_probabilities, pkt_loss
from distill_tune.distillation.losses.reviewkd import hierarchical_context_loss
from distill_tune.distillation.losses.sp import sp_loss
from distill_tune.registry import LOSSES

MAPS: tuple[Shapes, Shapes] = ([(3, 6, 6), (5, 3, 3)], [(4, 4, 4), (7, 2, 2)])
VECTORS: tuple[Shapes, Shapes] = ([(5,), (3,)], [(4,), (6,)])
MIXED: tuple[Shapes, Shapes] = ([(5,)], [(4, 3, 3)])
NAMES = [name for name in LOSSES.names if issubclass(LOSSES.get(name), FeatureLoss)]
each_loss = pytest.mark.parametrize("name", NAMES)
WITHOUT_PROJECTOR = ["attention", "pkt", "rkd", "sp"]


def shapes_for(name: str) -> list[tuple[Shapes, Shapes]]:
    loss = on_features(name)
    return [(ours, theirs) for ours, theirs in (MAPS, VECTORS, MIXED) if loss.joins(ours[0], theirs[0])]


each_loss_and_shape = pytest.mark.parametrize(
    ("name", "shapes"), [(name, shapes) for name in NAMES for shapes in shapes_for(name)], ids=str
)


# Every loss


@each_loss_and_shape
def test_a_term_moves_the_student_and_what_is_learned_with_it_and_not_the_teacher(
    name: str, shapes: tuple[Shapes, Shapes]
) -> None:
    term = term_of(name, *shapes)
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    for student in students:
        student.requires_grad_()
    value = term(students, teachers)
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    for moved in [*students, *term.parameters()]:
        assert moved.grad is not None
        assert moved.grad.isfinite().all()
    learned = [float(p.grad.abs().sum()) for p in term.parameters() if p.grad is not None]
    assert all(student.grad is not None and student.grad.abs().sum() > 0 for student in students)
    assert any(learned) == bool(learned)
    assert bool(list(term.parameters())) == (name not in WITHOUT_PROJECTOR)


@each_loss_and_shape
def test_the_gradient_is_that_of_small_differences(name: str, shapes: tuple[Shapes, Shapes]) -> None:
    term = term_of(name, *shapes)
    students, teachers = (drawn(each, batch=3, seed=i) for i, each in enumerate(shapes))
    for student in students:
        student.requires_grad_()
    assert torch.autograd.gradcheck(lambda *features: term(features, teachers), students, atol=1e-4)


@each_loss_and_shape
@few
@given(order=st.permutations(range(8)))
def test_the_order_of_the_samples_does_not_matter(name: str, shapes: tuple[Shapes, Shapes], order: list[int]) -> None:
    term = term_of(name, *shapes, **({"angle_samples": 8} if name == "rkd" else {}))
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    permuted = term([each[order] for each in students], [each[order] for each in teachers])
    torch.testing.assert_close(permuted, term(students, teachers))


@each_loss
def test_the_parts_of_a_batch_average_to_the_whole_unless_samples_are_compared(name: str) -> None:
    shapes = shapes_for(name)[0]
    term = term_of(name, *shapes).eval()  # in training mode, batch statistics would compare samples
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    halves = [
        term([each[rows] for each in students], [each[rows] for each in teachers]) for rows in (slice(4), slice(4, 8))
    ]
    agree = torch.allclose(torch.stack(halves).mean(), term(students, teachers))
    assert agree == (not on_features(name).compares_samples)


@each_loss
@pytest.mark.parametrize("batch", [2, 3])
def test_a_term_stays_finite_where_features_are_all_zero(name: str, batch: int) -> None:
    """As after a dead ReLU."""
    shapes = shapes_for(name)[0]
    term = term_of(name, *shapes)
    for students, teachers in [
        (drawn(shapes[0], batch), [0 * each for each in drawn(shapes[1], batch)]),
        ([0 * each for each in drawn(shapes[0], batch)], drawn(shapes[1], batch)),
    ]:
        for student in students:
            student.requires_grad_()
        value = term(students, teachers)
        value.backward()
        assert value.isfinite()
        assert all(student.grad is not None and student.grad.isfinite().all() for student in students)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "reviewkd"])  # it normalises by the batch
def test_a_batch_of_one_has_a_finite_term(name: str) -> None:
    ours, theirs = shapes_for(name)[0]
    assert term_of(name, ours, theirs)(drawn(ours, 1), drawn(theirs, 1)).isfinite()


@each_loss
def test_a_scale_multiplies_the_term(name: str) -> None:
    shapes, loss = shapes_for(name)[0], on_features(name)
    students, teachers = (drawn(each, seed=i) for i, each in enumerate(shapes))
    doubled = {key: 2 * getattr(loss, key) for key in loss.weights}
    once, twice = (term_of(name, *shapes, **options)(students, teachers) for options in ({}, doubled))
    torch.testing.assert_close(twice, 2 * once)


@each_loss
def test_minimising_a_term_comes_nearer_to_the_teacher(name: str) -> None:
    """Sixty steps on free features and the projector."""
    ours, theirs = shapes_for(name)[0]
    term, teachers = term_of(name, ours, theirs), drawn(theirs, seed=1)
    students = [student.requires_grad_() for student in drawn(ours)]
    optimizer = torch.optim.Adam([*students, *term.parameters()], 0.05)
    values = []
    for _ in range(60):
        value = term(students, teachers)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.2 * abs(values[0])


# Equal features


@pytest.mark.parametrize("compare", [hint_loss, attention_loss, pkt_loss, sp_loss, hierarchical_context_loss])
@few
@given(seed=SEEDS)
def test_equal_features_have_a_loss_of_zero_and_no_others_have_a_smaller_one(
    compare: Callable[[Tensor, Tensor], Tensor], seed: int
) -> None:
    student, teacher = drawn([(4, 6, 6), (4, 6, 6)], seed=seed)
    assert compare(teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    assert compare(student, teacher) > 0


# Invariances


@few
@given(seed=SEEDS, ours=st.floats(0.1, 10), theirs=st.floats(0.1, 10))
def test_attention_looks_neither_at_scale_nor_at_the_order_or_the_sign_of_channels(
    seed: int, ours: float, theirs: float
) -> None:
    student, teacher = drawn([(4, 5, 3), (4, 5, 3)], seed=seed)
    changed = attention_loss(-ours * student.flip(1), theirs * teacher)
    torch.testing.assert_close(changed, attention_loss(student, teacher))


@few
@given(seed=SEEDS)
def test_attention_is_between_0_and_2(seed: int) -> None:
    assert 0 <= attention_loss(*drawn([(4, 5, 3), (4, 5, 3)], seed=seed)) <= 2


@few
@given(seed=SEEDS, scale=st.floats(0.1, 10))
def test_pkt_looks_neither_at_the_length_of_a_feature_nor_at_a_rotation_of_all(seed: int, scale: float) -> None:
    student, teacher = drawn([(5,), (4,)], seed=seed)
    rotation = torch.linalg.qr(drawn([(5,)], batch=5, seed=seed + 1)[0])[0]
    lengths = scale * torch.arange(1, 9, dtype=torch.float64)[:, None]
    torch.testing.assert_close(pkt_loss(lengths * student @ rotation, teacher), pkt_loss(student, teacher))


@few
@given(seed=SEEDS)
def test_pkts_probabilities_are_some_and_nobody_is_ones_own_neighbour(seed: int) -> None:
    found = neighbour_probabilities(drawn([(5,)], seed=seed)[0])
    assert (found >= 0).all()
    assert (found.diagonal() == 0).all()
    torch.testing.assert_close(found.sum(1), torch.ones(8, dtype=torch.float64))
