"""Columns become features by statistics of training alone, and the encoder survives JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distill_tune.data.column_notes import WORDS_FOR_GAPS, said_of_columns, unfamiliar
from distill_tune.data.columns import check_table
from distill_tune.data.encoder import TableEncoder
from distill_tune.errors import DataError

COLUMN = hnp.arrays(np.float64, st.integers(2, 40), elements=st.floats(-1e6, 1e6) | st.just(np.nan))
TEXTS = st.lists(st.sampled_from(["red", "green", "blue", None]), min_size=2, max_size=40)


def by_hand(train: list[float], value: float) -> list[float]:
    """Standardised value, then the indicator if training has gaps; written without NumPy on purpose."""
    seen = [v for v in train if v == v]
    mean = sum(seen) / len(seen)
    std = (sum((v - mean) ** 2 for v in seen) / len(seen)) ** 0.5
    if max(seen) == min(seen):
        std = 1.0
    standardised = max(-1e6, min(1e6, (value - mean) / std)) if value == value else 0.0
    return [standardised, float(value != value)] if len(seen) < len(train) else [standardised]


@given(COLUMN, st.floats(-1e6, 1e6) | st.just(np.nan))
def test_numbers_are_standardised_as_by_hand(column: np.ndarray, value: float) -> None:
    seen = column[~np.isnan(column)]
    encoder = TableEncoder.fit(pd.DataFrame({"x": column}))
    features = encoder.transform(pd.DataFrame({"x": [value]}))
    if not len(seen) or (len(seen) == len(column) and seen.max() == seen.min()):
        assert encoder.dropped == ("x",)
    elif seen.max() == seen.min() or seen.std() > 1e-6 * np.abs(seen).max():
        np.testing.assert_allclose(features[0], by_hand(list(column), value), rtol=1e-4, atol=1e-6)
    assert features.dtype == np.float32


@given(TEXTS, st.sampled_from(["red", "green", "violet", None]))
def test_categories_are_one_hot_and_unknown_ones_all_zeros(texts: list[str | None], value: str | None) -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"colour": pd.Series(texts, dtype="object")}))
    features = encoder.transform(pd.DataFrame({"colour": pd.Series([value], dtype="object")}))[0]
    if len(set(texts)) == 1:
        assert encoder.dropped == ("colour",)
    else:
        assert features.sum() == (value in set(texts))
        assert len(features) == len(set(texts))


@given(COLUMN, TEXTS)
def test_the_encoder_is_json_and_comes_back_equal(column: np.ndarray, texts: list[str | None]) -> None:
    rows = min(len(column), len(texts))
    frame = pd.DataFrame({"x": column[:rows], "colour": pd.Series(texts[:rows], dtype="object")})
    encoder = TableEncoder.fit(frame)
    again = TableEncoder.from_dict(json.loads(json.dumps(encoder.to_dict())))
    assert again == encoder
    np.testing.assert_array_equal(again.transform(frame), encoder.transform(frame))
    assert len(encoder.feature_names) == encoder.transform(frame).shape[1]


def test_new_rows_far_outside_stay_finite() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"x": [0.0, 1e-300], "y": [0.0, 1e-40]}))
    assert np.isfinite(encoder.transform(pd.DataFrame({"x": [1e99], "y": [-1e99]}))).all()


def test_gaps_constants_and_categories_are_said() -> None:
    frame = pd.DataFrame({"age": [30.0, 40.0, None, None], "same": [1, 1, 1, 1], "city": ["x", None, "y", "x"]})
    assert said_of_columns(TableEncoder.fit(frame), frame) == [
        "2 missing values in 'age' filled with the training mean 35",
        "1 missing values in 'city' made a category of their own",
        "column 'same' dropped: constant in the training split",
    ]


def test_a_text_gap_that_training_has_not_is_no_category_of_its_own() -> None:
    frame = pd.DataFrame({"city": ["x", "y", None]})
    encoder = TableEncoder.fit(frame[:2])
    assert not encoder.transform(frame[2:]).any()
    said = "count as none of its categories, as training has no gap there"
    assert said_of_columns(encoder, frame) == [f"1 missing values in 'city' {said}"]


@pytest.mark.parametrize("dtype", ["int64", "Int64", "uint64"])
def test_integers_that_become_one_number_are_said(dtype: str) -> None:
    codes = pd.Series([2**60, 2**60 + 1, 2**61] * 10, dtype=dtype)
    said = "has integers beyond 2^53, of which several become one number; if they are names, put a letter in front"
    frame = pd.DataFrame({"code": codes, "time": codes // 4 * 4, "size": range(30)})
    assert [note for note in said_of_columns(TableEncoder.fit(frame), frame) if "2^53" in note] == [
        f"column 'code' {said}"
    ]


def test_features_are_named_in_their_order() -> None:
    frame = pd.DataFrame({"city": ["x", None, "y"], "age": [30.0, 40.0, None]})
    assert TableEncoder.fit(frame).feature_names == (
        "age",
        "age is missing",
        "city = x",
        "city = y",
        "city is missing",
    )


@pytest.mark.parametrize("dtype", ["Int64", "boolean", "category", "float32", "str"])
def test_pandas_own_kinds_of_columns_are_encoded(dtype: str) -> None:
    frame = pd.DataFrame({"x": pd.Series([1, 0, None, 1], dtype="Int64").astype(dtype)})
    assert np.isfinite(TableEncoder.fit(frame).transform(frame)).all()


@pytest.mark.parametrize(
    ("trained", "new", "expected"),
    [
        (["TRUE", None, "FALSE"], [False, None, True], ["FALSE", None, "TRUE"]),
        (["True", None, "False"], ["TRUE", "false", None], ["True", "False", None]),
        (["1", "2", "A"], [2.0, 1.0, 3.0], ["2", "1", "3.0"]),
        (["0.50", "1", "B"], [0.5, 1, "1.0"], ["0.50", "1", "1.0"]),
        (["1", "01", "B"], [1.0, "01", "B"], ["1.0", "01", "B"]),
    ],
    ids=["truth values", "truth values in words", "whole numbers", "numbers, but not texts", "two of one meaning"],
)
def test_what_is_no_text_counts_as_the_category_that_it_means(
    trained: list[Any], new: list[Any], expected: list[Any]
) -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"x": pd.Series(trained, dtype="object")}))
    rows, meant = (pd.DataFrame({"x": pd.Series(values, dtype="object")}) for values in (new, expected))
    np.testing.assert_array_equal(encoder.transform(rows), encoder.transform(meant))
    assert len(unfamiliar(encoder, rows)) == (not set(expected) <= set(trained))


def test_gaps_and_unknown_texts_of_a_category_are_told_of_apart() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"city": ["Rome", "Oslo"] * 9}))
    assert unfamiliar(encoder, pd.DataFrame({"city": [None, "Tokyo", None, "Oslo", None]})) == [
        "1 row has a 'city' that training had not ('Tokyo'); it counts as none",
        "3 rows lack 'city', which was never missing in training; it counts as none of its categories",
    ]


def test_the_words_for_gaps_are_those_that_pandas_takes_for_them(tmp_path: Path) -> None:
    words = sorted(WORDS_FOR_GAPS)
    (tmp_path / "words.csv").write_text("\n".join(["word", *words, "x"]))
    assert pd.read_csv(tmp_path / "words.csv")["word"].isna().tolist() == [*(True for _ in words), False]


def test_order_and_further_columns_do_not_matter() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0, 4.0], "b": ["u", "v", "u"]})
    encoder = TableEncoder.fit(frame)
    np.testing.assert_array_equal(encoder.transform(frame), encoder.transform(frame.assign(c=1)[["c", "b", "a"]]))


def test_a_missing_column_is_named_with_a_guess() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"height": [1.0, 2.0], "width": [1.0, 2.0]}))
    with pytest.raises(DataError, match=r"no column 'height'. Did you mean 'heigth'\?"):
        encoder.transform(pd.DataFrame({"heigth": [1.0], "width": [1.0]}))


def test_text_where_numbers_were_is_refused() -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"age": [1.0, 2.0]}))
    with pytest.raises(DataError, match="column 'age' must hold numbers, but row 1 has 'old'"):
        encoder.transform(pd.DataFrame({"age": ["3", "old"]}))


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ([1.0, np.inf, -np.inf], r"table: column 'x' has 2 infinite .* the first in row 1"),
        (
            [str(i) for i in range(101)],
            r"table: column 'x' is text with 101 distinct values \(such as '0'\); at most 100 .* drop it",
        ),
        ([*map(str, range(200)), "?"], r"201 distinct values \(numbers, but for 1 such as '\?'\)"),
        (
            pd.to_datetime(["2020-01-01", "2020-01-02"]),
            r"table: column 'x' holds datetime64.*make numbers or text",
        ),
        ([[1], [2]], "table: column 'x' holds list, such as '\\[1\\]'; make numbers or text of it, or drop"),
        ([1 + 2j, 2j], "table: column 'x' holds complex128"),
    ],
)
def test_columns_that_cannot_become_features_are_refused(column: object, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        check_table(pd.DataFrame({"x": column}), "table", "drop it")
    assert "\n" not in str(caught.value)
