"""Cross-validation: how samples are dealt into folds, and what each fold's data contain."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distill_tune.config import Space, tables_of
from distill_tune.config.sections import DataConfig
from distill_tune.data import RawImages, prepare_data
from distill_tune.data.dataset import fingerprint_of, open_test
from distill_tune.data.splits import Fold, Rows, split_rows
from distill_tune.errors import CacheError, ConfigError, DataError

FOLDS = 4


def raw_of(labels: list[int], inputs: list[int]) -> RawImages:
    """One tiny image per number: equal numbers are equal inputs."""
    pixels = np.array([divmod(number, 256) for number in inputs], dtype=np.uint8)
    classes = tuple(map(str, range(max(labels) + 1)))
    return RawImages(inputs=pixels[:, None, None, :], labels=np.array(labels), classes=classes, where="made up")


def splits(raw: RawImages, seed: int, folds: int = FOLDS) -> list[Rows]:
    return [split_rows(raw, 0.2, 0.25, seed, Fold(folds, number)) for number in range(folds)]


@settings(max_examples=40)
@given(
    counts=st.lists(st.integers(FOLDS + 1, 40), min_size=2, max_size=4),
    seed=st.integers(0, 1000),
)
def test_every_sample_that_is_not_test_is_validated_on_once_and_in_equal_parts(counts: list[int], seed: int) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    raw = raw_of(labels, list(range(len(labels))))
    whole, parts = split_rows(raw, 0.2, 0.25, seed, Fold(FOLDS)), splits(raw, seed)
    validated = np.concatenate([rows.validation for rows in parts])
    assert sorted(validated) == list(whole.train)
    for rows in parts:
        assert list(rows.test) == list(whole.test)
        assert sorted([*rows.train, *rows.validation]) == list(whole.train)
        assert not np.isin(rows.train, rows.validation).any()
    by_class = np.array([np.bincount(raw.labels[rows.validation], minlength=len(counts)) for rows in parts])
    assert (np.ptp(by_class, axis=0) <= 1).all()
    assert (by_class > 0).all()
    assert np.ptp(by_class.sum(axis=1)) <= 1


@settings(max_examples=40)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_equal_inputs_are_never_trained_on_and_validated_on(data: st.DataObject, seed: int) -> None:
    inputs = data.draw(st.lists(st.integers(0, 30), min_size=20, max_size=40))
    labels = [number % 2 for number in inputs]
    raw = raw_of([0, 1, *labels], [900, 901, *inputs])
    try:
        parts = splits(raw, seed, 3)
    except DataError:  # a class whose samples are all alike
        distinct = {
            label: {x for x, y in zip([900, 901, *inputs], [0, 1, *labels], strict=True) if y == label}
            for label in (0, 1)
        }
        assert min(map(len, distinct.values())) < 4
        return
    keys = raw.row_hashes()
    for rows in parts:
        for one, other in ((rows.train, rows.validation), (rows.test, [*rows.train, *rows.validation])):
            assert not np.isin(keys[one], keys[other]).any()


def test_more_folds_than_the_smallest_class_has_samples_are_refused_with_its_name() -> None:
    raw = raw_of([0] * 20 + [1] * 5, list(range(25)))
    with pytest.raises(
        DataError, match=r"class '1' has only 5 distinct samples, but 5 folds \(data.folds\) and test need one each"
    ):
        split_rows(raw, 0.2, None, 0, Fold(5))
    assert len(split_rows(raw, 0.2, None, 0, Fold(4, 0)).validation) > 0


def test_a_fold_has_nothing_of_its_validation_samples_nor_of_test(tmp_path: Path) -> None:
    config = DataConfig(source="digits", folds=3)
    whole = prepare_data(config, tmp_path)
    folds = [prepare_data(config, tmp_path, number) for number in range(3)]
    assert len({each.folder for each in (whole, *folds)}) == 4
    assert len(open_test(whole)) == whole.num_rows["test"] > 0
    for fold in folds:
        train = fold.split("train")
        assert fold.mean[0] == pytest.approx(float(train.inputs.mean()))
        with pytest.raises(CacheError):
            open_test(fold)
    assert len({fold.mean for fold in (whole, *folds)}) == 4


def test_without_folds_the_cache_is_named_as_it_was_before_there_were_any() -> None:
    plain = DataConfig(source="digits")
    assert fingerprint_of(plain) == fingerprint_of(plain, None)
    known = {fingerprint_of(DataConfig(source="digits", folds=k), n) for k in (2, 3) for n in (None, 0, 1)}
    assert len(known | {fingerprint_of(plain)}) == 7


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"folds": 1}, "data.folds"),
        ({"folds": 5, "validation": 0.2}, r"data.validation: cannot stand beside data.folds \(5\)"),
        ({"folds": {"choice": [3, 5]}}, r"\[data\] is the same for every trial"),
    ],
)
def test_folds_that_cannot_be_are_refused(data: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Space.parse({"data": {"source": "digits", **data}, "student": {"family": "mlp"}})


RESULT = {"source": "result", "path": "results/earlier"}


@pytest.mark.parametrize(
    "teacher",
    [RESULT, {"source": "ensemble", "ensemble": {"members": {"a": {"source": "train", "family": "mlp"}, "b": RESULT}}}],
    ids=["alone", "among several"],
)
def test_a_results_student_which_knows_every_fold_teaches_none(teacher: dict[str, object]) -> None:
    tables = {"data": {"source": "digits"}, "student": {"family": "mlp"}, "teacher": teacher}
    assert Space.parse(tables).config.teacher.source == teacher["source"]
    with pytest.raises(ConfigError, match=r"data.folds: cannot stand beside teacher.source = 'result'"):
        Space.parse({**tables, "data": {"source": "digits", "folds": 3}})


def test_a_configuration_with_folds_can_be_written_down_and_read() -> None:
    config = Space.parse({"data": {"source": "digits", "folds": 5}, "student": {"family": "mlp"}}).config
    assert Space.parse(tables_of(config)).config.data.folds == 5
