"""Metrics, against scikit-learn and slow versions written from the papers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, log_loss, recall_score

from distill_tune.evaluation import metrics

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def case(seed: int, samples: int = 200, classes: int = 5, scale: float = 3.0) -> tuple[Floats, Labels]:
    random = np.random.default_rng(seed)
    return scale * random.standard_normal((samples, classes)), random.integers(classes, size=samples)


def softmax(logits: Floats) -> Floats:
    powers = np.exp(logits)
    result: Floats = powers / powers.sum(axis=1, keepdims=True)
    return result


def slow_ece(logits: Floats, labels: Labels, bins: int) -> float:
    """Equation 3 of Guo et al., bin by bin."""
    probabilities = softmax(logits)
    total = 0.0
    for number in range(bins):
        inside = [
            (row.max(), int(row.argmax()) == label)
            for row, label in zip(probabilities, labels, strict=True)
            if number / bins < row.max() <= (number + 1) / bins
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            right = sum(hit for _, hit in inside) / len(inside)
            total += len(inside) / len(labels) * abs(right - confidence)
    return total


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_accuracy_and_nll_are_those_of_scikit_learn(seed: int) -> None:
    logits, labels = case(seed)
    assert metrics.accuracy(logits, labels) == accuracy_score(labels, logits.argmax(1))
    assert metrics.nll(logits, labels) == pytest.approx(log_loss(labels, softmax(logits), labels=range(5)))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_ece_is_that_of_the_definition(seed: int, bins: int) -> None:
    logits, labels = case(seed)
    assert metrics.ece(logits, labels, bins) == pytest.approx(slow_ece(logits, labels, bins))


def test_a_classifier_that_is_as_sure_as_it_is_right_has_no_calibration_error() -> None:
    logits = np.log([[0.75, 0.25]] * 4)
    assert metrics.ece(logits, np.array([0, 0, 0, 1])) == pytest.approx(0)
    assert metrics.ece(logits, np.array([0, 0, 0, 0])) == pytest.approx(0.25)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_the_worst_class_is_the_lowest_recall_of_those_present(seed: int, samples: int) -> None:
    logits, labels = case(seed, samples)
    recalls = recall_score(labels, logits.argmax(1), labels=np.unique(labels), average=None)
    assert metrics.worst_class_accuracy(logits, labels) == pytest.approx(recalls.min())


def test_brier_is_nought_when_sure_and_right_and_two_when_sure_and_wrong() -> None:
    logits, labels = np.array([[100.0, 0.0, 0.0]]), np.array([0])
    assert metrics.brier(logits, labels) == pytest.approx(0)
    assert metrics.brier(logits, labels + 1) == pytest.approx(2)
    assert metrics.brier(np.zeros((1, 2)), labels) == pytest.approx(0.5)


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_a_constant_added_to_every_logit_changes_no_metric(seed: int) -> None:
    logits, labels = case(seed)
    for metric in (metrics.accuracy, metrics.nll, metrics.brier, metrics.ece):
        assert metric(logits + 500, labels) == pytest.approx(metric(logits, labels))


@pytest.mark.parametrize("metric", [metrics.nll, metrics.brier, metrics.ece])
def test_confident_float16_logits_do_not_overflow(metric: object) -> None:
    logits = np.array([[60000, -60000], [-60000, 60000]], dtype=np.float16)
    assert callable(metric)
    assert metric(logits, np.array([0, 1])) == pytest.approx(0)


def test_agreement_is_about_classes_and_not_about_confidence() -> None:
    student = np.array([[2.0, 1.0], [0.1, 0.2], [3.0, 0.0], [0.0, 1.0]])
    teacher = np.array([[9.0, 1.0], [0.0, 9.0], [0.0, 9.0], [0.0, 0.1]])
    assert metrics.agreement(student, teacher) == 0.75


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_kl_is_positive_and_nought_only_for_the_teacher_itself(seed: int) -> None:
    teacher, student = case(seed)[0], case(seed + 1)[0]
    assert metrics.kl_to_teacher(teacher + 7, teacher) == pytest.approx(0, abs=1e-12)
    p, q = softmax(teacher), softmax(student)
    assert metrics.kl_to_teacher(student, teacher) == pytest.approx((p * np.log(p / q)).sum(1).mean())
    assert metrics.kl_to_teacher(student, teacher) > 0


def test_a_diverged_student_is_right_about_nothing() -> None:
    logits = np.array([[np.nan, 0.0], [0.0, np.nan], [1.0, 0.0]])
    assert metrics.correct(logits, np.array([0, 1, 0])).tolist() == [False, False, True]


@pytest.mark.parametrize("shape", [(4, 1), (3,), ()])
def test_labels_that_numpy_would_broadcast_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"logits \[samples, classes\] need labels \[samples\]"):
        metrics.accuracy(np.zeros((4, 2)), np.zeros(shape, dtype=int))


def test_no_samples_are_refused_rather_than_averaged_to_nan() -> None:
    with pytest.raises(ValueError, match="but got"):
        metrics.nll(np.zeros((0, 3)), np.zeros(0, dtype=int))
