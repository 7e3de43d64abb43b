"""Accuracy under corruptions: of which samples, in which ways, and that it is lower."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest
from corrupted_inputs import INPUTS, Array, corruption
from sklearn.datasets import load_digits

from distill_tune.evaluation import corrupted
from distill_tune.evaluation.corrupted import (
    MOST_SAMPLES,
    corrupted_accuracies,
    corruptions_for,
    dealt_out,
    num_worsened,
)
from distill_tune.evaluation.corruptions import SEVERITIES
from distill_tune.evaluation.metrics import accuracy


def test_corrupted_accuracy_is_a_mean_over_severities_and_corruptions() -> None:
    rows = INPUTS["rows"]
    labels = np.arange(len(rows)) % 2
    seen = []

    def predict(inputs: Array) -> Array:
        seen.append(inputs)
        return np.eye(2)[labels] if len(seen) <= 3 else np.eye(2)[1 - labels]

    names = sorted(corruptions_for(rows.ndim))
    expected = {name: float(name == names[0]) for name in names}
    assert corrupted_accuracies([predict], rows, labels)[0] == {**expected, "mean": pytest.approx(1 / len(names))}
    assert len(seen) == 3 * len(names)


def test_several_students_meet_the_same_inputs_and_each_gets_its_own_result() -> None:
    rows = INPUTS["rows"]
    labels = (rows[:, 0] > 0).astype(int)
    seen: list[list[Array]] = [[], []]

    def student(number: int, inputs: Array) -> Array:
        seen[number].append(inputs)
        return np.stack([-inputs[:, number], inputs[:, number]], axis=1)

    students = [partial(student, number) for number in range(2)]
    found = corrupted_accuracies(students, rows, labels)
    assert all(np.array_equal(one, other) for one, other in zip(*seen, strict=True))
    assert found == [corrupted_accuracies([each], rows, labels)[0] for each in students]
    assert found[0]["mean"] > found[1]["mean"]


def test_of_many_samples_evenly_spread_ones_are_taken() -> None:
    rows = np.zeros((MOST_SAMPLES + 1000, 2), dtype=np.float32)
    labels = np.arange(len(rows))
    kept = []

    def predict(inputs: Array) -> Array:
        kept.append(len(inputs))
        return np.zeros((len(inputs), 2))

    corrupted_accuracies([predict], rows, labels % 2)
    assert set(kept) == {MOST_SAMPLES}
    assert sum(kept) == num_worsened(rows.shape)


@pytest.mark.parametrize("kind", sorted(INPUTS))
def test_it_is_known_beforehand_how_often_a_student_will_be_asked(kind: str) -> None:
    inputs, asked = INPUTS[kind], 0

    def predict(inputs: Array) -> Array:
        nonlocal asked
        asked += len(inputs)
        return np.zeros((len(inputs), 2))

    corrupted_accuracies([predict], inputs, np.arange(len(inputs)) % 2)
    assert asked == num_worsened(inputs.shape)


@pytest.mark.parametrize("count", [1, 5, 100, 200])
@pytest.mark.parametrize("most", [64, 150, 10_000])
def test_samples_dealt_out_meet_every_corruption_about_equally_often(count: int, most: int) -> None:
    """The labels are the samples' positions, so that they identify the samples."""
    inputs = INPUTS["digits"][:count]
    worse, labels = dealt_out(inputs, np.arange(count), most)
    ways = 3 * len(corruptions_for(inputs.ndim))
    per_sample = np.bincount(labels, minlength=count)
    if count <= most:
        assert set(per_sample) == {min(ways, max(1, most // count))}
    else:
        assert per_sample.sum() == most
        assert per_sample.max() == 1
    assert worse.shape == (len(labels), *inputs.shape[1:])
    assert worse.dtype == inputs.dtype


def test_accuracy_on_samples_dealt_out_estimates_that_on_all_in_every_way() -> None:
    images, labels, nearest = a_decent_classifier()
    whole = corrupted_accuracies([nearest], images[600:], labels[600:])[0]["mean"]
    worse, theirs = dealt_out(images[600:], labels[600:])
    assert len(theirs) <= 4096
    assert accuracy(nearest(worse), theirs) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize("name", sorted(corruptions_for(INPUTS["digits"].ndim)))
def test_a_higher_severity_is_harder_for_a_decent_classifier_and_none_is_hopeless(name: str) -> None:
    images, labels, nearest = a_decent_classifier()
    clean = accuracy(nearest(images[600:]), labels[600:])
    worse = [accuracy(nearest(corruption(name).apply(images[600:], s, 0)), labels[600:]) for s in SEVERITIES]
    assert clean + 0.01 >= worse[0] >= worse[1] >= worse[2] > 0.15
    assert worse[2] < clean - 0.02


@cache
def a_decent_classifier() -> tuple[Array, Array, Callable[[Array], Array]]:
    """Digits, their labels, and a nearest-neighbour classifier on the first 600."""
    digits = load_digits()
    images, labels = digits.images[:, None].astype(np.uint8), digits.target

    def nearest(inputs: Array) -> Array:
        flat, known = (
            inputs.reshape(len(inputs), -1).astype(float),
            images[:600].reshape(600, -1).astype(float),
        )
        distance = (flat**2).sum(1)[:, None] - 2 * flat @ known.T + (known**2).sum(1)
        logits: Array = np.eye(10)[labels[distance.argmin(1)]]
        return logits

    return images, labels, nearest


def test_one_who_knows_the_clean_digits_only_is_worse_on_corrupted_ones() -> None:
    images, labels, nearest = a_decent_classifier()
    clean = (nearest(images[600:]).argmax(1) == labels[600:]).mean()
    corrupted = corrupted_accuracies([nearest], images[600:], labels[600:])[0]
    assert 0.2 < corrupted["mean"] < clean
    assert corrupted == corrupted_accuracies([nearest], images[600:], labels[600:])[0]


def test_of_photographs_fewer_are_taken_than_of_small_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corrupted, "_MOST_VALUES", 40)
    monkeypatch.setattr(corrupted, "_FEWEST_SAMPLES", 5)
    kept = []

    def predict(inputs: Array) -> Array:
        kept.append(len(inputs))
        return np.zeros((len(inputs), 2))

    for width in (2, 20):
        corrupted_accuracies([predict], np.zeros((50, width), dtype=np.float32), np.arange(50) % 2)
    assert set(kept) == {20, 5}
