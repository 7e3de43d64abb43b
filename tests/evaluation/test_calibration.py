"""Temperature scaling, against a slow search by the definition and classifiers of known temperature."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from distill_tune.evaluation import metrics
from distill_tune.evaluation.calibration import HIGHEST, LOWEST, fitted_temperature

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def calibrated(seed: int, samples: int = 4000, classes: int = 5, scale: float = 2.0) -> tuple[Floats, Labels]:
    """Logits, and labels drawn from exactly their probabilities."""
    random = np.random.default_rng(seed)
    logits = scale * random.standard_normal((samples, classes))
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (p.cumsum(1) < random.random((samples, 1))).sum(1)
    return logits, labels


def slow_fit(logits: Floats, labels: Labels) -> float:
    """The best of many temperatures, by likelihood."""
    tried = np.exp(np.linspace(np.log(0.05), np.log(20), 3000))
    nlls = []
    for temperature in tried:
        scaled = logits / temperature
        scaled = scaled - scaled.max(1, keepdims=True)
        nlls.append((np.log(np.exp(scaled).sum(1)) - scaled[np.arange(len(labels)), labels]).mean())
    return float(tried[int(np.argmin(nlls))])


@pytest.mark.parametrize("over_confidence", [0.3, 1.0, 4.0])
def test_the_temperature_of_a_known_over_confidence_is_found(over_confidence: float) -> None:
    logits, labels = calibrated(0)
    assert fitted_temperature(over_confidence * logits, labels) == pytest.approx(over_confidence, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_best_of_many_that_are_tried(seed: int) -> None:
    logits, labels = calibrated(seed, samples=60)
    assert fitted_temperature(2.5 * logits, labels) == pytest.approx(slow_fit(2.5 * logits, labels), rel=3e-3)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0.2, 5))
def test_scaling_never_raises_the_nll_that_it_is_fitted_on_and_changes_no_prediction(seed: int, scale: float) -> None:
    logits, labels = calibrated(seed, samples=50, scale=scale)
    temperature = fitted_temperature(logits, labels)
    assert LOWEST <= temperature <= HIGHEST
    assert metrics.nll(logits / temperature, labels) <= metrics.nll(logits, labels) + 1e-9
    assert metrics.accuracy(logits / temperature, labels) == metrics.accuracy(logits, labels)


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 3), st.floats(-50, 50))
def test_temperatures_follow_the_scale_of_the_logits_and_not_their_level(seed: int, scale: float, level: float) -> None:
    logits, labels = calibrated(seed, samples=200)
    expected = scale * fitted_temperature(logits, labels)
    assert fitted_temperature(scale * logits + level, labels) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_of_logits_in_a_unit_of_their_own_the_temperature_is_found_too(scale: float) -> None:
    logits, labels = calibrated(0)
    expected = scale * fitted_temperature(logits, labels)
    assert fitted_temperature(scale * logits, labels) == pytest.approx(expected, rel=1e-5)
    assert fitted_temperature(scale * np.eye(3), np.arange(3)) == 1.0
    assert fitted_temperature(scale * np.eye(3), (np.arange(3) + 1) % 3) == 1.0


def test_an_over_confident_student_is_calibrated_on_new_samples() -> None:
    logits, labels = calibrated(1, samples=8000)
    known, new = slice(0, 4000), slice(4000, None)
    temperature = fitted_temperature(3 * logits[known], labels[known])
    assert metrics.ece(3 * logits[new], labels[new]) > 0.1
    assert metrics.ece(3 * logits[new] / temperature, labels[new]) < 0.03


def test_a_student_that_no_finite_temperature_is_best_for_is_left_as_it_is() -> None:
    always_right = np.eye(3) * 4
    assert fitted_temperature(always_right, np.arange(3)) == 1.0
    assert fitted_temperature(always_right, (np.arange(3) + 1) % 3) == 1.0
    assert fitted_temperature(np.zeros((3, 3)), np.arange(3)) == 1.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_student_is_left_as_it_is(bad: float) -> None:
    logits = np.ones((4, 3))
    logits[2, 1] = bad
    assert fitted_temperature(logits, np.zeros(4, dtype=int)) == 1.0


def test_confident_float16_logits_do_not_overflow() -> None:
    logits = np.array([[60000, -60000], [-60000, 60000], [60000, -60000]], dtype=np.float16)
    assert np.isfinite(fitted_temperature(logits, np.array([0, 1, 1])))
