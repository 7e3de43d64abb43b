"""Properties of the splits that hold for any data set."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from splitting import SEEDS, SHARES, split_or_skip, tables

from distill_tune.data.raw import RawImages, RawTable
from distill_tune.data.splits import Rows, labelled_rows, split_rows
from distill_tune.errors import DataError


def parts(rows: Rows) -> list[np.ndarray]:
    return [rows.train, rows.validation, rows.test]


@given(tables(torn=True), SHARES, SHARES, SEEDS)
def test_each_row_is_in_exactly_one_split(raw: RawTable, validation: float, test: float, seed: int) -> None:
    rows = split_or_skip(raw, validation, test, seed)
    assert sorted(np.concatenate(parts(rows))) == list(range(raw.rows))


@given(tables(torn=True), SHARES, SHARES, SEEDS)
def test_two_equal_rows_are_never_on_both_sides(raw: RawTable, validation: float, test: float, seed: int) -> None:
    rows = split_or_skip(raw, validation, test, seed)
    train, held_out, untouched = (set(raw.frame["value"].iloc[part]) for part in parts(rows))
    assert not train & held_out
    assert not train & untouched
    assert not held_out & untouched


@given(tables(torn=True), SHARES, SHARES, SEEDS)
def test_every_class_is_in_every_split(raw: RawTable, validation: float, test: float, seed: int) -> None:
    for part in parts(split_or_skip(raw, validation, test, seed)):
        assert set(raw.labels[part]) == set(range(len(raw.classes)))


@given(tables(least=10), st.floats(0.2, 0.5), st.floats(0.2, 0.5), SEEDS)
def test_each_class_has_its_share_up_to_one_group(raw: RawTable, validation: float, test: float, seed: int) -> None:
    rows = split_rows(raw, validation, test, seed)
    largest = raw.frame["value"].value_counts().max()
    for label in range(len(raw.classes)):
        total = (raw.labels == label).sum()
        tested, validated = ((raw.labels[part] == label).sum() for part in (rows.test, rows.validation))
        assert abs(tested - test * total) <= largest
        assert abs(validated - validation * (total - tested)) <= largest


@given(tables(), SEEDS)
def test_the_same_seed_gives_the_same_split(raw: RawTable, seed: int) -> None:
    for one, other in zip(
        parts(split_rows(raw, 0.3, None, seed)), parts(split_rows(raw, 0.3, None, seed)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def test_another_seed_gives_another_split() -> None:
    frame = pd.DataFrame({"value": range(200)})
    raw = RawTable(frame=frame, labels=np.arange(200) % 2, classes=("a", "b"), where="made up")
    assert set(split_rows(raw, 0.2, None, 0).test) != set(split_rows(raw, 0.2, None, 1).test)


def test_shares_of_many_small_classes_add_up() -> None:
    """Rounding 12 * 0.2 = 2.4 down in each of 100 classes would leave test with 17 percent."""
    frame = pd.DataFrame({"value": range(1200)})
    labels, classes = np.arange(1200) % 100, tuple(str(i) for i in range(100))
    rows = split_rows(RawTable(frame=frame, labels=labels, classes=classes, where="made up"), 0.2, 0.2, 0)
    assert abs(len(rows.test) - 240) <= 1


@pytest.mark.parametrize("seed", range(10))
def test_a_row_that_is_more_often_there_than_a_split_is_large_stays_in_training(seed: int) -> None:
    """Half of a class are copies of one row, which would otherwise fill test and validation for that class."""
    value = np.r_[np.zeros(50, dtype=int), np.arange(1, 151)]
    labels = np.r_[np.zeros(100, dtype=int), np.ones(100, dtype=int)]
    raw = RawTable(frame=pd.DataFrame({"value": value}), labels=labels, classes=("a", "b"), where="made up")
    rows = split_rows(raw, 0.2, 0.2, seed)
    assert np.bincount(labels[rows.test]).tolist() == [20, 20]
    assert np.bincount(labels[rows.validation]).tolist() == [16, 16]
    assert (value[rows.train] == 0).sum() == 50


def images(values: list[int], labels: list[int], own_test: int = 0) -> RawImages:
    inputs = np.array(values, dtype=np.uint8)[:, None, None, None] * np.ones((1, 1, 2, 2), dtype=np.uint8)
    return RawImages(inputs=inputs, labels=np.array(labels), classes=("a", "b"), where="made up", own_test=own_test)


def test_an_own_test_split_is_kept() -> None:
    rows = split_rows(images(list(range(12)), [0, 1] * 6, own_test=4), 0.3, None, 0)
    assert list(rows.test) == [8, 9, 10, 11]


def test_training_rows_equal_to_an_own_test_row_are_left_out_and_said() -> None:
    rows = split_rows(images([8, 1, 2, 3, 4, 5, 6, 9, 8, 9], [0, 1] * 5, own_test=2), 0.3, None, 0)
    assert sorted([*rows.train, *rows.validation]) == [1, 2, 3, 4, 5, 6]
    assert "2 training rows equal to a test row left out of training" in rows.notes


def test_a_test_share_replaces_the_own_test_split_and_it_is_said() -> None:
    rows = split_rows(images(list(range(100)), [0, 1] * 50, own_test=4), 0.2, 0.3, 0)
    assert len(rows.test) == 30
    assert any("drawn anew" in note for note in rows.notes)


def test_duplicates_are_said() -> None:
    assert (
        "3 exact duplicates kept on one side"
        in split_rows(images([0, 0, 0, 1, 1, *range(2, 9)], [0, 0, 0, 1, 1, *[0, 1] * 3, 0]), 0.3, None, 0).notes
    )


def test_inputs_with_two_labels_are_said() -> None:
    notes = split_rows(images([0, 0, *range(1, 13)], [0, 1, *[0, 1] * 6]), 0.3, None, 0).notes
    assert "1 distinct inputs appear with more than one label" in notes


def test_a_class_that_always_shares_its_inputs_is_still_split() -> None:
    """Tables of a few categories are like this: each distinct row was seen with every label."""
    frame = pd.DataFrame({"row": np.repeat(np.arange(14), 50)})
    labels = (np.random.default_rng(0).random(700) < 0.3).astype(np.int64)
    raw = RawTable(frame=frame, labels=labels, classes=("lost", "saved"), where="made up")
    for part in parts(split_rows(raw, 0.2, None, 0)):
        assert set(labels[part]) == {0, 1}
        assert len(part) >= 100


def test_two_distinct_rows_are_too_few_however_often_they_were_seen() -> None:
    with pytest.raises(DataError, match=r"class 'a' has only 2 distinct samples \(of 50\), but "):
        split_rows(images([0, 1] * 50, [0, 0, 1, 1] * 25), 0.2, None, 0)


def test_three_copies_are_not_enough_for_three_splits() -> None:
    with pytest.raises(
        DataError,
        match=r"class 'b' has only 1 distinct sample \(of 3\), but training, validation and test need one each; add",
    ):
        split_rows(images([0, 1, 2, 3, 9, 9, 9], [0, 0, 0, 0, 1, 1, 1]), 0.2, None, 0)


def test_a_class_without_rows_in_the_own_test_split_is_refused() -> None:
    with pytest.raises(DataError, match=r"class 'b' has no distinct sample \(of 3\), but its own test split needs one"):
        split_rows(images(list(range(8)), [0, 1, 0, 1, 0, 1, 0, 0], own_test=2), 0.3, None, 0)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=6), st.data(), SEEDS)
def test_a_count_of_student_samples_is_met_exactly_and_in_proportion(
    counts: list[int], data: st.DataObject, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    samples = data.draw(st.integers(len(counts), len(labels)))
    mask = labelled_rows(labels, float(samples), seed, "made up")
    seen = np.bincount(labels[mask], minlength=len(counts))
    assert mask.sum() == samples
    assert (seen >= 1).all()
    fair = np.array(counts) * samples / len(labels)
    assert (np.abs(seen - fair) <= 1 + (fair < 1).sum()).all()


def test_a_share_of_student_samples_is_a_share_of_training() -> None:
    assert labelled_rows(np.arange(100) % 4, 0.25, 0, "made up").sum() == 25


def test_without_student_samples_all_are_labelled() -> None:
    assert labelled_rows(np.arange(9) % 3, None, 0, "made up").all()


@pytest.mark.parametrize(
    ("samples", "said"), [(10.0, "= 10, but the training split has 9"), (2.0, "below one a class")]
)
def test_impossible_counts_of_student_samples_are_refused(samples: float, said: str) -> None:
    with pytest.raises(DataError, match=said):
        labelled_rows(np.arange(9) % 3, samples, 0, "made up")
