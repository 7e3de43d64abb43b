"""Rows with an unknown label: where they go, how files mark them, and that only the teacher teaches them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs import TABLE, run_space
from splitting import SEEDS, SHARES, split_or_skip, tables

from distill_tune.config.sections import DataConfig
from distill_tune.data import UNLABELLED, RawTable
from distill_tune.data.build import build
from distill_tune.data.splits import Fold, split_rows
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.run import Run
from distill_tune.errors import DataError

FOLDS = [None, Fold(3, 0), Fold(3, 2), Fold(3)]


@given(tables(), SHARES, SHARES, SEEDS, st.sampled_from(FOLDS), st.integers(0, 40))
def test_they_are_all_trained_on_but_those_that_equal_a_row_kept_for_validation_or_test(
    raw: RawTable, validation: float, test: float, seed: int, fold: Fold | None, more: int
) -> None:
    """The other rows are dealt as they are without them."""
    alone = split_or_skip(raw, validation, test, seed, fold)
    copies = raw.frame.iloc[np.random.default_rng(seed).integers(0, raw.rows, more)]
    new = pd.DataFrame({"value": np.arange(more) + 10_000, "other": np.zeros(more)})
    frame = pd.concat([raw.frame, copies, new], ignore_index=True)
    labels = np.append(raw.labels, np.full(2 * more, UNLABELLED))
    rows = split_rows(replace(raw, frame=frame, labels=labels), validation, test, seed, fold)
    added = rows.train[rows.train >= raw.rows]
    np.testing.assert_array_equal(rows.train[rows.train < raw.rows], alone.train)
    np.testing.assert_array_equal(rows.validation, alone.validation)
    np.testing.assert_array_equal(rows.test, alone.test)
    kept_out = set(frame["value"][np.setdiff1d(np.append(rows.validation, rows.test), rows.train)])
    expected = [row for row in range(raw.rows, len(frame)) if frame["value"][row] not in kept_out]
    np.testing.assert_array_equal(added, expected)


def people(labels: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"age": np.arange(90) * 1.5, "kind": labels})


def write(folder: Path, source: str, labels: list[Any]) -> Path:
    path = folder / f"data.{source}"
    if source == "npz":
        ids = [UNLABELLED if label is None else "nyz".index(label) for label in labels]
        np.savez(path, inputs=np.arange(180.0).reshape(90, 2), labels=ids)
    elif source == "csv":
        people(labels).to_csv(path, index=False)
    else:
        people(labels).to_parquet(path)
    return path


@pytest.mark.parametrize("source", ["csv", "parquet", "npz"])
def test_files_may_leave_labels_out_where_the_student_may_see_such_rows(tmp_path: Path, source: str) -> None:
    labels = [None if i % 4 == 0 else "nyz"[i % 3] for i in range(90)]
    keys: dict[str, Any] = {"source": source, "path": str(write(tmp_path, source, labels))}
    with pytest.raises(DataError, match=r"row 0 has .*set data\.rest = 'unlabelled'") as caught:
        build(DataConfig(**keys))
    assert "\n" not in str(caught.value)
    built = build(DataConfig(rest="unlabelled", **keys))
    train = built.splits["train"]
    without = [i for i in range(90) if labels[i] is None]
    assert len(built.classes) == 3
    np.testing.assert_array_equal(train["index"][~train["labelled"]], without)
    np.testing.assert_array_equal(train["labels"] == UNLABELLED, ~train["labelled"])
    for name in ("validation", "test"):
        assert (built.splits[name]["labels"] >= 0).all()
    assert f"{len(without)} training rows have no label" in built.notes


@pytest.mark.parametrize(("keys", "says_so"), [({}, True), ({"student_samples": 30}, False)])
def test_asking_for_rows_without_a_label_where_there_are_none_is_said(
    tmp_path: Path, keys: dict[str, Any], says_so: bool
) -> None:
    path = write(tmp_path, "csv", ["nyz"[i % 3] for i in range(90)])
    notes = build(DataConfig(source="csv", path=str(path), rest="unlabelled", **keys)).notes
    assert any("data.rest = 'unlabelled' changes nothing" in note for note in notes) is says_so


def test_whole_numbers_stay_the_names_of_classes_though_gaps_make_decimals_of_them(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    people([None if i % 4 == 0 else 3 + i % 2 for i in range(90)]).to_csv(path, index=False)
    assert ",4.0\n" in path.read_text()
    assert build(DataConfig(source="csv", path=str(path), rest="unlabelled")).classes == ("3", "4")


def test_a_number_of_labelled_samples_counts_labels_alone(tmp_path: Path) -> None:
    labels = [None if i % 2 else "nyz"[i // 2 % 3] for i in range(90)]
    keys: dict[str, Any] = {"source": "csv", "path": str(write(tmp_path, "csv", labels)), "rest": "unlabelled"}
    train = build(DataConfig(student_samples=9, **keys)).splits["train"]
    assert train["labelled"].sum() == 9
    assert (train["labels"][train["labelled"]] >= 0).all()
    with pytest.raises(DataError, match=r"data\.student_samples = 80, but the training split has"):
        build(DataConfig(student_samples=80, **keys))


def test_a_test_split_of_the_sources_own_has_a_label_for_each_row(tmp_path: Path) -> None:
    rows, ids = np.arange(60.0).reshape(30, 2), np.arange(30) % 3
    path = tmp_path / "data.npz"
    np.savez(path, inputs=rows, labels=ids, test_inputs=rows + 100, test_labels=np.where(ids == 1, UNLABELLED, ids))
    with pytest.raises(DataError, match="its test split has rows without a label"):
        build(DataConfig(source="npz", path=str(path), rest="unlabelled"))


def test_the_teacher_and_students_without_one_learn_from_the_others_alone(
    tmp_path: Path, ready: Callable[..., Any]
) -> None:
    rng = np.random.default_rng(0)
    ids = np.arange(400) % 4
    inputs = rng.normal(size=(400, 6)) + 3 * np.eye(6)[ids]
    path = tmp_path / "data.npz"
    np.savez(path, inputs=inputs, labels=np.where(rng.random(400) < 0.7, UNLABELLED, ids))
    data = {"source": "npz", "path": str(path), "rest": "unlabelled"}

    def run_with(**sections: Any) -> Run:
        config, preparation = ready(run_space({**TABLE, "data": data}, **sections))
        return Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))

    taught, alone = run_with(), run_with(loss={"kind": "labels"})
    assert UNLABELLED in next(iter(taught.batches.epoch(1))).labels
    assert all(UNLABELLED not in batch.labels for batch in alone.batches.epoch(1))
    for run in (taught, alone):
        reports = [run.next_epoch().report for _ in range(3)]
        assert reports[-1]["val/accuracy"] > 0.5  # with four classes


@pytest.mark.parametrize("rest", ["hidden", "unlabelled"])
def test_data_without_any_label_are_refused(tmp_path: Path, rest: str) -> None:
    np.savez(tmp_path / "d.npz", inputs=np.eye(9), labels=np.full(9, UNLABELLED), classes=np.array(["a", "b"]))
    with pytest.raises(DataError, match=r"no row has a label|labels must be 0 or above"):
        build(DataConfig(source="npz", path=str(tmp_path / "d.npz"), rest=rest))  # type: ignore[arg-type]


def test_letter_may_leave_labels_out_too(tmp_path: Path) -> None:
    frame = pd.DataFrame(np.random.default_rng(0).integers(0, 16, (260, 16))).add_prefix("f")
    frame.insert(0, "lettr", [chr(65 + row % 26) for row in range(260)])
    frame.loc[[7, 50], "lettr"] = None
    frame.to_csv(tmp_path / "letter.csv", index=False)
    built = build(DataConfig(source="letter", path=str(tmp_path / "letter.csv"), rest="unlabelled"))
    assert list(built.splits["train"]["labels"]).count(UNLABELLED) == 2
