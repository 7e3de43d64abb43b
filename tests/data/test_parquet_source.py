"""Columns of a parquet file: invalid labels, duplicate names, and pandas' row index."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_files import Prepare, refuse


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            [[i % 3] for i in range(60)],
            r"labels in 'kind' are lists or tables, such as '\[0\]'; classes are integers or",
        ),
        ([{"a": i % 3} for i in range(60)], "labels in 'kind' are lists or tables, such as"),
        ([None] * 60, "row 0 has no label in 'kind'"),
        ([b"a", b"b"] * 30, "labels in 'kind' are bytes, such as b'a'; write them as text, in UTF-8"),
        (pa.array(["a"] * 60).dictionary_encode(), r"one class only \('a'\)"),
    ],
)
def test_columns_of_a_parquet_file_that_are_no_labels_are_refused(tmp_path: Path, kind: Any, said: str) -> None:
    pq.write_table(pa.table({"x": np.arange(60.0), "kind": kind}), tmp_path / "a.parquet")
    refuse("parquet", tmp_path / "a.parquet", said)


@pytest.mark.parametrize("is_dictionary", [False, True])
def test_text_that_is_no_utf8_is_refused_where_it_is_needed(
    prepare: Prepare, tmp_path: Path, is_dictionary: bool
) -> None:
    towns = pa.array(["Köln".encode("latin-1"), b"Bonn", None] * 20, pa.binary())
    text = pa.StringArray.from_buffers(60, towns.buffers()[1], towns.buffers()[2], towns.buffers()[0])
    columns = {"x": np.arange(60.0), "town": text.dictionary_encode() if is_dictionary else text}
    pq.write_table(pa.table(columns | {"kind": np.arange(60) % 3}), tmp_path / "a.parquet")
    refuse("parquet", tmp_path / "a.parquet", r"column 'town' holds bytes, such as .*; make numbers or text of it")
    assert prepare("parquet", tmp_path / "a.parquet", parquet={"ignore": ["town"]}).input_shape == (1,)
    keys = {"label": "town"}
    refuse("parquet", tmp_path / "a.parquet", "labels in 'town' are bytes", parquet=keys, rest="unlabelled")


def test_two_columns_of_a_name_in_a_parquet_file_are_refused(tmp_path: Path) -> None:
    columns = [np.arange(60.0), np.arange(60.0), np.arange(60) % 3]
    pq.write_table(pa.table(list(map(pa.array, columns)), names=["x", "x", "kind"]), tmp_path / "a.parquet")
    refuse("parquet", tmp_path / "a.parquet", "has two columns named 'x'; rename one")


def test_a_row_index_that_pandas_wrote_is_no_column(prepare: Prepare, tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60) % 3}, index=np.arange(60)[::-1])
    frame.to_parquet(tmp_path / "indexed.parquet")
    dataset = prepare("parquet", tmp_path / "indexed.parquet")
    assert dataset.classes == ("0", "1", "2")
    assert dataset.encoder is not None
    assert dataset.encoder["columns"] == ["x"]


@pytest.mark.parametrize("rest", ["hidden", "unlabelled"])
def test_a_row_index_with_a_name_is_no_column_either_which_is_said(prepare: Prepare, tmp_path: Path, rest: str) -> None:
    index = pd.Index([f"p{i % 5}" for i in range(60)], name="patient")
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.arange(60) % 3}, index=index)
    frame.to_parquet(tmp_path / "indexed.parquet")
    dataset = prepare("parquet", tmp_path / "indexed.parquet", rest=rest)
    assert dataset.classes == ("0", "1", "2")
    assert dataset.encoder is not None
    assert dataset.encoder["columns"] == ["x"]
    assert "column 'patient' left out: it was pandas' row index" in dataset.notes


@pytest.mark.parametrize(
    ("options", "columns"),
    [({"label": "patient"}, ["x", "y"]), ({"columns": ["patient"]}, ["patient"]), ({"ignore": ["patient"]}, ["x"])],
)
def test_a_row_index_that_an_option_names_is_a_column(
    prepare: Prepare, tmp_path: Path, options: dict[str, Any], columns: list[str]
) -> None:
    index = pd.Index([f"p{i % 5}" for i in range(60)], name="patient")
    frame = pd.DataFrame({"x": np.arange(60.0) % 7, "y": np.arange(60) % 3}, index=index)
    frame.to_parquet(tmp_path / "indexed.parquet")
    dataset = prepare("parquet", tmp_path / "indexed.parquet", parquet=options)
    assert dataset.classes == (("p0", "p1", "p2", "p3", "p4") if "label" in options else ("0", "1", "2"))
    assert dataset.encoder is not None
    assert dataset.encoder["columns"] == columns
    assert not [note for note in dataset.notes if "row index" in note]


@pytest.mark.parametrize("metadata", [b"{", b"[1]", b'{"index_columns": 3}'])
def test_what_others_wrote_in_place_of_pandas_says_nothing_of_an_index(
    prepare: Prepare, tmp_path: Path, metadata: bytes
) -> None:
    table = pa.table({"x": np.arange(60.0), "y": np.arange(60) % 3}).replace_schema_metadata({b"pandas": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    assert prepare("parquet", tmp_path / "a.parquet").classes == ("0", "1", "2")
