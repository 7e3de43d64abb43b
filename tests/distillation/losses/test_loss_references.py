"""Each loss against its paper's definition, written out in NumPy per sample and per pair."""

from collections.abc import Iterable
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from losses_on_logits import Array, drawn, ours

from distill_tune.distillation.losses.dkd import Dkd, decoupled_losses
from distill_tune.distillation.losses.rkd import Rkd

SEEDS = st.integers(0, 999)
TEMPERATURES = st.floats(0.5, 16)


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    powers = np.exp((logits - logits.max(-1, keepdims=True)) / temperature)
    return powers / powers.sum(-1, keepdims=True)


def kl(p: Array, q: Array) -> float:
    return float((p * np.log(p / q)).sum())


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def huber(difference: float) -> float:
    return 0.5 * difference**2 if abs(difference) < 1 else abs(difference) - 0.5


# The papers' definitions


def standardized_kl(student: Array, teacher: Array, tau: float) -> float:
    def z_scores(logits: Array) -> Array:
        centred = logits - logits.mean()
        return centred / np.sqrt((centred**2).mean())

    pairs = zip(student, teacher, strict=True)
    return mean(tau**2 * kl(softmax(z_scores(t), tau), softmax(z_scores(s), tau)) for s, t in pairs)


def decoupled(student: Array, teacher: Array, temperature: float, targets: Array) -> tuple[float, float]:
    """TCKD and NCKD, equations 4 to 7."""

    def parts(logits: Array, target: int) -> tuple[Array, Array]:
        p = softmax(logits, temperature)
        return np.array([p[target], 1 - p[target]]), softmax(np.delete(logits, target), temperature)

    found = [
        [parts(logits, target) for logits in pair] for *pair, target in zip(teacher, student, targets, strict=True)
    ]
    return tuple(temperature**2 * mean(kl(t[part], s[part]) for t, s in found) for part in (0, 1))  # type: ignore[return-value]


def correlations(student: Array, teacher: Array, temperature: float, inter: float, intra: float) -> float:
    s, t = softmax(student, temperature), softmax(teacher, temperature)
    rows = mean(1 - np.corrcoef(a, b)[0, 1] for a, b in zip(s, t, strict=True))
    columns = mean(1 - np.corrcoef(a, b)[0, 1] for a, b in zip(s.T, t.T, strict=True))
    return inter * rows + intra * columns


def levels(student: Array, teacher: Array, temperatures: list[float], weights: tuple[float, float, float]) -> float:
    """The paper's sums, for the batch repeated to 64 samples."""
    (batch, classes), total = student.shape, 0.0
    for temperature in temperatures:
        s, t = softmax(student, temperature), softmax(teacher, temperature)
        instance = mean(temperature**2 * kl(b, a) for a, b in zip(s, t, strict=True))
        pairs = product(range(batch), repeat=2)
        of_samples = mean((s[i] @ s[j] - t[i] @ t[j]) ** 2 for i, j in pairs) * 64**2 / 64
        pairs = product(range(classes), repeat=2)
        of_classes = sum(((s[:, k] @ s[:, m] - t[:, k] @ t[:, m]) * 64 / batch) ** 2 for k, m in pairs) / classes
        total += weights[0] * instance + weights[1] * of_samples + weights[2] * of_classes
    return total / len(temperatures)


def relations(student: Array, teacher: Array, distance_weight: float, angle_weight: float, some: int) -> float:
    def distances(logits: Array) -> Array:
        found = np.array([[np.linalg.norm(a - b) for b in logits] for a in logits])
        return found / found[found > 0].mean()

    def angle(a: Array, b: Array, c: Array) -> float:
        one, other = b - a, c - a
        lengths = np.linalg.norm(one) * np.linalg.norm(other)
        return float(one @ other / lengths) if lengths else 0.0

    def angles(logits: Array) -> list[float]:
        return [angle(*(logits[i] for i in triple)) for triple in product(range(min(some, len(logits))), repeat=3)]

    apart = mean(huber(d) for d in (distances(student) - distances(teacher)).flat)
    turned = mean(huber(a - b) for a, b in zip(angles(student), angles(teacher), strict=True))
    return distance_weight * apart + angle_weight * turned


def similarity(student: Array, teacher: Array, scale: float) -> float:
    """The paper's equation 4, times the batch size."""

    def rows(logits: Array) -> Array:
        products = np.array([[a @ b for b in logits] for a in logits])
        return np.array([row / np.sqrt((row**2).sum()) for row in products])

    return scale * float(((rows(student) - rows(teacher)) ** 2).sum()) / len(student) ** 2 * len(student)


@given(SEEDS, st.floats(0.5, 8))
def test_logit_standardization_is_as_its_paper_defines_it(seed: int, tau: float) -> None:
    student, teacher = drawn(seed)
    expected = standardized_kl(student, teacher, tau)
    assert ours("logit_standardization", student, teacher, base_temperature=tau) == pytest.approx(expected)


@given(SEEDS, TEMPERATURES, st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_dkd_is_as_its_paper_defines_it(seed: int, temperature: float, targets: list[int]) -> None:
    student, teacher = drawn(seed)
    target, others = decoupled(student, teacher, temperature, np.array(targets))
    found = Dkd(target_weight=2.0, non_target_weight=3.0).soft_with_labels(
        torch.from_numpy(student), torch.from_numpy(teacher), temperature, torch.tensor(targets)
    )
    assert found.item() == pytest.approx(2 * target + 3 * others, rel=1e-6, abs=1e-9)


@given(SEEDS, TEMPERATURES)
def test_dist_is_as_its_paper_defines_it(seed: int, temperature: float) -> None:
    student, teacher = drawn(seed)
    expected = correlations(student, teacher, temperature, 0.5, 3.0)
    found = ours("dist", student, teacher, temperature, inter_weight=0.5, intra_weight=3.0)
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)


@given(SEEDS, st.lists(TEMPERATURES, min_size=1, max_size=3))
def test_mlkd_is_as_its_paper_defines_it(seed: int, temperatures: list[float]) -> None:
    student, teacher = drawn(seed)
    options = {"temperatures": temperatures, "instance_weight": 0.5, "batch_weight": 2.0, "class_weight": 3.0}
    expected = levels(student, teacher, temperatures, (0.5, 2.0, 3.0))
    assert ours("mlkd", student, teacher, **options) == pytest.approx(expected)


@given(SEEDS)
def test_mse_logits_is_as_its_paper_defines_it(seed: int) -> None:
    student, teacher = drawn(seed)
    expected = mean((s - t) ** 2 / 2 for s, t in zip(student.flat, teacher.flat, strict=True))
    assert ours("mse_logits", student, teacher) == pytest.approx(expected)


@given(SEEDS, st.sampled_from([3, 5, 64]))
def test_rkd_is_as_its_paper_defines_it(seed: int, some: int) -> None:
    student, teacher = drawn(seed)
    found = ours("rkd", student, teacher, distance_weight=2.0, angle_weight=3.0, angle_samples=some)
    assert found == pytest.approx(relations(student, teacher, 2.0, 3.0, some))


@given(SEEDS)
def test_sp_is_as_its_paper_defines_it(seed: int) -> None:
    student, teacher = drawn(seed)
    assert ours("sp", student, teacher, scale=2.0) == pytest.approx(similarity(student, teacher, 2.0))


# Relations between losses


@given(SEEDS, TEMPERATURES, st.lists(st.integers(0, 3), min_size=1, max_size=1))
def test_soft_targets_are_the_two_parts_of_dkd_with_the_weight_that_the_teacher_leaves(
    seed: int, temperature: float, targets: list[int]
) -> None:
    student, teacher = drawn(seed, samples=1)
    parts = decoupled_losses(torch.from_numpy(student), torch.from_numpy(teacher), temperature, torch.tensor(targets))
    left = 1 - softmax(teacher, temperature)[0, targets[0]]
    whole = ours("soft_targets", student, teacher, temperature)
    assert float(parts[0] + left * parts[1]) == pytest.approx(whole, rel=1e-6, abs=1e-9)


def test_the_target_of_dkd_is_the_label_or_else_what_the_teacher_finds_likeliest() -> None:
    student, teacher = map(torch.from_numpy, drawn(1))
    likeliest = teacher.argmax(1)
    labels = (likeliest + 1) % 4
    known = Dkd().soft_with_labels(student, teacher, 2.0, labels)
    unknown = Dkd().soft_with_labels(student, teacher, 2.0, torch.full_like(labels, -1))
    assert known != unknown
    assert unknown == Dkd().soft(student, teacher, 2.0) == Dkd().soft_with_labels(student, teacher, 2.0, likeliest)
    some = labels.where(torch.arange(6) < 3, -1)
    filled = labels.where(torch.arange(6) < 3, likeliest)
    mixed = [Dkd().soft_with_labels(student, teacher, 2.0, each) for each in (some, filled)]
    assert mixed[0] == mixed[1]


@given(SEEDS)
def test_soft_targets_at_a_high_temperature_are_the_regression_of_centred_logits(seed: int) -> None:
    student, teacher = (logits - logits.mean(1, keepdims=True) for logits in drawn(seed))
    hot = ours("soft_targets", student, teacher, 1e4)
    assert hot == pytest.approx(ours("mse_logits", student, teacher), rel=1e-2)


@given(SEEDS)
def test_the_instance_level_of_mlkd_at_one_temperature_is_soft_targets(seed: int) -> None:
    student, teacher = drawn(seed)
    alone = ours("mlkd", student, teacher, temperatures=[3.0], batch_weight=0.0, class_weight=0.0)
    assert alone == pytest.approx(ours("soft_targets", student, teacher, 3.0))


def test_angles_of_rkd_are_taken_among_the_first_samples_alone() -> None:
    student, teacher = map(torch.from_numpy, drawn(2, samples=8))
    few = Rkd(distance_weight=0.0, angle_samples=4)
    torch.testing.assert_close(few.soft(student, teacher, 1.0), few.soft(student[:4], teacher[:4], 1.0))
