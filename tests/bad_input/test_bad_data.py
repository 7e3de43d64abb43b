"""Data that are unusable or missing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from good import Refuse, rows


def test_data_that_are_not_there(refuse: Refuse, folder: Path) -> None:
    assert f"gone.csv: no such file; it must be a CSV (text) file (seen from {folder})." in refuse("data.path=gone.csv")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("npz", "data.csv: must be an .npz (zip) file, but is a CSV (text) file; use data.source = 'csv'."),
        ("parquet", "data.csv: must be a Parquet file, but is a CSV (text) file; use data.source = 'csv'."),
    ],
)
def test_data_of_another_kind(refuse: Refuse, source: str, said: str) -> None:
    assert said in refuse(f"data.source={source}")


@pytest.mark.parametrize(("source", "keep"), [("npz", 0.5), ("parquet", 0.5), ("npz", 0.95), ("parquet", 0.95)])
def test_data_that_were_cut_off(refuse: Refuse, folder: Path, source: str, keep: float) -> None:
    path = folder / f"data.{source}"
    table = rows()
    if source == "npz":
        np.savez(path, inputs=table.to_numpy(np.float32)[:, :3], labels=table["kind"].to_numpy())
    else:
        table.to_parquet(path)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert f"{path.name}: is truncated or damaged" in refuse(f"data.source={source}", f"data.path={path.name}")


@pytest.mark.parametrize("source", ["csv", "npz", "parquet", "fashion_mnist", "image_folder", "letter"])
@pytest.mark.parametrize("path", ["long" * 90, "null\\u0000byte", "~nobody_of_this_name/data", "data.csv/below"])
def test_a_path_that_no_file_can_have(refuse: Refuse, source: str, path: str) -> None:
    said = refuse(f"data.source={source}", f'data.path="{path}"')
    assert path[:4] in said
    assert "no such f" in said or "cannot be read" in said


@pytest.mark.parametrize("source", ["csv", "npz", "parquet", "fashion_mnist", "image_folder", "letter"])
def test_data_in_an_object_store(refuse: Refuse, source: str) -> None:
    said = refuse(f"data.source={source}", "data.path=s3://bucket/data.csv")
    assert "s3://bucket/data.csv: must be " in said
    assert (
        " on a disk, but is a URI; copy it to where the search runs (for a submitted search, the head node), and name"
        in said
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers(refuse: Refuse, value: float) -> None:
    inputs = rows().to_numpy(np.float32)[:, :3]
    inputs[7, 1] = value
    np.savez("data.npz", inputs=inputs, labels=np.arange(60) % 3)
    said = refuse("data.source=npz", "data.path=data.npz")
    assert "data.npz: inputs have 1 NaN or infinite values, the first in row 7; fill or remove them" in said


def spoil(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(rows()).to_csv("data.csv", index=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.assign(kind="a"), "data.csv: has one class only ('a'); a classifier needs two."),
        (
            lambda table: table.assign(kind=["rare", "rare", *["often"] * 58]),
            "data.csv: class 'rare' has only 2 distinct samples, but training, validation and test need one each",
        ),
        (lambda table: table.assign(kind=table["kind"] / 2), "data.csv: labels in 'kind' are numbers with decimals"),
        (lambda table: table.assign(kind=[None, *table["kind"][1:]]), "has no label"),
        (lambda table: table[["kind"]], "data.csv: has one column only ('kind'); set data.csv.separator."),
        (lambda table: table[:0], "data.csv: has a header but no rows; add some."),
        (
            lambda table: table.assign(kind=np.arange(60)),
            "data.csv: labels in 'kind' are all different, such as '0'",
        ),
        (
            lambda table: table.rename(columns={"width": "height"}),
            "has two columns named 'height'; rename one.",
        ),
        (lambda table: table.rename(columns={"width": "kind"}), "has two columns named 'kind'; rename one."),
    ],
)
def test_a_table_that_nothing_can_be_learnt_from(refuse: Refuse, change: Any, said: str) -> None:
    spoil(change)
    assert said in refuse()


def test_a_label_column_that_is_not_there(refuse: Refuse) -> None:
    said = refuse("data.csv.label=knid")
    assert "data.csv.label: data.csv has no such column 'knid'. Did you mean 'kind'? Known: height, width, " in said


def test_labels_outside_of_the_classes(refuse: Refuse) -> None:
    np.savez("data.npz", inputs=rows().to_numpy()[:, :3], labels=np.arange(60) % 4, classes=np.array(["a", "b", "c"]))
    assert "data.npz: row 3 has label 3; there are 3 classes, 0 to 2; mend the labels." in refuse(
        "data.source=npz", "data.path=data.npz"
    )


@pytest.mark.parametrize(
    ("samples", "said"),
    [("1000", "data.student_samples = 1,000, but the training split has "), ("2", "is below one a class; there are 3")],
)
def test_more_or_fewer_samples_for_the_student_than_can_be(refuse: Refuse, samples: str, said: str) -> None:
    assert said in refuse(f"data.student_samples={samples}")


@pytest.mark.parametrize("arguments", [("space.toml",), ("space.toml", "--dry-run")])
def test_more_labelled_samples_than_a_fold_trains_on(refuse: Refuse, arguments: tuple[str, ...]) -> None:
    trained = ("teacher.source=train", "teacher.family=mlp", "teacher.train.epochs=1")
    told = refuse("data.folds=4", "data.student_samples=40", "data.test=0.2", *trained, arguments=arguments)
    assert "data.student_samples = 40, but the training split has 3" in told
