"""npz, csv and parquet: what good files become, and one line for every bad one."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from distill_tune.config.sections import DataConfig
from distill_tune.data import Dataset
from distill_tune.data.build import build
from distill_tune.data.dataset import open_test
from distill_tune.data.raw import RawTable
from distill_tune.errors import ConfigError, DataError, InputError

Prepare = Callable[..., Dataset]
SaveNpz = Callable[..., Path]
SaveText = Callable[..., Path]
PEOPLE = "age,city,kind\n" + "".join(f"{20 + i},{'ab'[i % 2]},{'yes' if i % 3 else 'no'}\n" for i in range(60))


def refuse(source: str, path: Path | None, said: str, error: type[InputError] = DataError, **keys: Any) -> None:
    with pytest.raises(error, match=said) as caught:
        build(DataConfig(source=source, path=path and str(path), **keys))
    assert "\n" not in str(caught.value)
    assert path is None or path.name in str(caught.value)


def random_images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [((60, 5, 4), (1, 5, 4)), ((60, 3, 5, 4), (3, 5, 4)), ((60, 5, 4, 3), (3, 5, 4)), ((60, 2, 5, 4), (2, 5, 4)),
     ((60, 5, 4, 1), (1, 5, 4)), ((60, 1, 5, 3), (1, 5, 3)), ((60, 6, 5, 4), (4, 6, 5)), ((60, 6, 6, 2), (2, 6, 6)),
     ((60, 4, 6, 6), (4, 6, 6)), ((60, 6, 2, 13), (6, 2, 13))],
)  # fmt: skip
def test_images_become_channels_first(
    prepare: Prepare, save_npz: SaveNpz, shape: tuple[int, ...], becomes: tuple[int, ...]
) -> None:
    images = random_images(*shape)
    dataset = prepare("npz", save_npz(inputs=images))
    train = dataset.split("train")
    assert dataset.input_shape == becomes
    first = images[train.index[0]]
    if first.shape != becomes:
        first = first.reshape(becomes) if becomes[0] == 1 else first.transpose(2, 0, 1)
    np.testing.assert_array_equal(train.inputs[0], first)


def test_moved_channels_are_said(prepare: Prepare, save_npz: SaveNpz) -> None:
    assert "channels moved from last to first" in prepare("npz", save_npz(inputs=random_images(60, 5, 4, 3))).notes[0]


@pytest.mark.parametrize(("shape", "which"), [((60, 6, 5, 4), "last"), ((60, 4, 6, 5), "first")])
def test_channels_that_are_neither_1_nor_3_are_where_there_are_fewer_which_is_said(
    prepare: Prepare, save_npz: SaveNpz, shape: tuple[int, ...], which: str
) -> None:
    said = prepare("npz", save_npz(inputs=random_images(*shape))).notes[0]
    assert said.startswith(f"channels are {which} in ")
    assert said.endswith(", where there are fewer: 4 of 6 x 5 pixels")


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64"])
def test_labels_are_class_ids_whatever_integers_they_are_written_as(
    prepare: Prepare, save_npz: SaveNpz, dtype: str
) -> None:
    labels = np.arange(60) % 3
    train = prepare("npz", save_npz(labels=labels.astype(dtype))).split("train")
    np.testing.assert_array_equal(train.labels, labels[train.index])


def test_keys_of_an_npz_can_be_named(prepare: Prepare, save_npz: SaveNpz) -> None:
    path = save_npz(inputs=None, labels=None, pixels=random_images(60, 5, 4), kinds=np.arange(60) % 3)
    assert len(prepare("npz", path, npz={"inputs": "pixels", "labels": "kinds"}).classes) == 3


def test_usual_keys_of_an_npz_are_found(prepare: Prepare, save_npz: SaveNpz) -> None:
    path = save_npz(inputs=None, labels=None, X=random_images(60, 5, 4), y=np.arange(60) % 3)
    assert prepare("npz", path).is_image


def test_an_npz_can_name_its_classes_and_bring_its_test_split(prepare: Prepare, save_npz: SaveNpz) -> None:
    names = np.array(["ant", "bee", "cat"])
    more = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    dataset = prepare("npz", save_npz(classes=names, test_inputs=more, test_labels=np.arange(6) % 3))
    assert dataset.classes == ("ant", "bee", "cat")
    assert list(open_test(dataset).index) == list(range(60, 66))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": np.arange(60) % 3 - 1}, "labels must be 0 or above, but row 0 has -1"),
        ({"labels": np.arange(60) % 3 * 1.0}, "labels must be integers .* but are float64"),
        ({"labels": np.eye(3, dtype=int)[np.arange(60) % 3]}, r"labels must be 1-D class ids, .*argmax"),
        ({"labels": np.arange(59) % 3}, "60 rows of inputs, but 59 labels"),
        ({"labels": np.zeros(60, int)}, "one class only"),
        (
            {"labels": np.r_[np.zeros(58, int), 1, 1]},
            "class '1' has 2 samples, but 2 distinct ones .* need 3",
        ),
        ({"labels": np.arange(60) % 3 * 2}, "class '1' has 0 samples"),
        ({"labels": np.arange(60) % 3 + 10**9}, "row 2 has label 1000000002; number the classes from 0 on"),
        ({"classes": np.array(["a", "b"])}, "row 2 has label 2; there are 2 classes, 0 to 1"),
        (
            {"inputs": np.where(np.arange(180) == 7, np.nan, 1.0).reshape(60, 3)},
            "1 NaN or infinite values, .* row 2",
        ),
        (
            {"inputs": np.where(np.arange(180) == 7, np.inf, 1.0).reshape(60, 3)},
            "1 NaN or infinite values, .* row 2",
        ),
        ({"inputs": np.full((60, 3), "a")}, "inputs must be numbers"),
        ({"inputs": np.zeros((60, 3))}, "every input column is constant|distinct"),
        ({"inputs": np.zeros((60, 2, 2, 2, 2), np.uint8)}, r"images must be \[n, h, w\]"),
        ({"inputs": random_images(60, 5, 4, 5)}, r"images \[60, 5, 4, 5\] have 5 channels either first or last"),
        ({"inputs": np.zeros(60)}, "inputs must have 2 .* have 1"),
        ({"inputs": np.full((60, 4, 4), 0.5)}, "integers from 0 to 255 .* one has 0.5; scale"),
        ({"inputs": np.full((60, 4, 4), 256)}, "integers from 0 to 255 .* one has 256"),
        ({"inputs": np.zeros((0, 3)), "labels": np.zeros(0, int)}, "has no rows"),
        ({"inputs": None}, r"has no array 'inputs'"),
        ({"inputs": None, "labels": None}, r"has no array 'inputs'. Known: none."),
        ({"inputs": np.zeros((60, 0))}, "60 rows and 0 input columns; it needs some of each"),
        ({"inputs": np.full((60, 3), "a")}, "inputs must be numbers, but are <U1; categories go into CSV or Parquet"),
        (
            {"labels": np.full(60, "a")},
            "labels must be integers .* but are <U1; number the classes from 0 on, as np.unique",
        ),
        ({"labels": np.array(1)}, r"labels must be 1-D class ids, but have shape \[\]"),
        ({"classes": np.array(["a", "b", "b"])}, "two classes named 'b'; rename one, or make one class of them"),
        ({"classes": np.array([], str)}, "has no class; a classifier needs two"),
        (
            {"test_inputs": np.zeros((3, 3), np.float32), "test_labels": np.array(1)},
            "holds a single value where it must have one for each row",
        ),
        ({"inputs": np.array(1.0), "test_inputs": np.array(1.0), "test_labels": np.arange(3)}, "holds a single value"),
        ({"inputs": None, "input": np.zeros((60, 3))}, r"Did you mean 'input'\?"),
        ({"inputs": np.array([{}] * 60)}, "Python objects, which are never loaded"),
        ({"test_inputs": np.zeros((3, 3), np.float32)}, "no array 'test_labels'"),
        (
            {"test_inputs": np.zeros((3, 4), np.float32), "test_labels": np.arange(3)},
            "test rows must be like training",
        ),
        (
            {"test_inputs": np.zeros((3, 3), np.float32), "test_labels": np.arange(2)},
            "3 test rows but 2 test labels",
        ),
        (
            {"test_inputs": np.zeros((0, 3), np.float32), "test_labels": np.arange(0)},
            "its test split has no rows",
        ),
    ],
)
def test_bad_arrays_are_refused_in_one_line(save_npz: SaveNpz, arrays: dict[str, Any], said: str) -> None:
    refuse("npz", save_npz(**arrays), said)


@pytest.mark.parametrize("source", ["npz", "csv", "parquet"])
def test_bad_files_are_refused_in_one_line(source: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    refuse(source, path, "no such file")
    path.mkdir()
    refuse(source, path, "is a folder")
    path.rmdir()
    path.write_bytes(b"")
    refuse(source, path, "is empty")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    refuse(source, path, "must be .* but is a PNG file; convert it")
    path.write_bytes(bytes(100))
    refuse(source, path, "must be .* but is a binary file")
    refuse(source, None, f"path: this key is required with source = '{source}'", ConfigError)


def test_a_known_kind_of_file_names_its_source(save_text: SaveText, save_npz: SaveNpz, tmp_path: Path) -> None:
    refuse("parquet", save_text(PEOPLE), "must be a Parquet file, but is a CSV .*; use data.source = 'csv'")
    refuse("csv", save_npz(), r"but is an \.npz \(zip\) file; use data.source = 'npz'")
    pd.DataFrame({"a": [1], "b": [2]}).to_parquet(tmp_path / "a.parquet")
    refuse("npz", tmp_path / "a.parquet", "but is a Parquet file; use data.source = 'parquet'")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            [[i % 3] for i in range(60)],
            r"labels in 'kind' are lists or tables, such as '\[0\]'; classes are integers or",
        ),
        ([{"a": i % 3} for i in range(60)], "labels in 'kind' are lists or tables, such as"),
        ([None] * 60, "row 0 has no label in 'kind'"),
    ],
)
def test_columns_of_a_parquet_file_that_are_no_labels_are_refused(tmp_path: Path, kind: list[Any], said: str) -> None:
    pq.write_table(pa.table({"x": np.arange(60.0), "kind": kind}), tmp_path / "a.parquet")
    refuse("parquet", tmp_path / "a.parquet", said)


def test_two_columns_of_a_name_in_a_parquet_file_are_refused(tmp_path: Path) -> None:
    columns = [np.arange(60.0), np.arange(60.0), np.arange(60) % 3]
    pq.write_table(pa.table(list(map(pa.array, columns)), names=["x", "x", "kind"]), tmp_path / "a.parquet")
    refuse("parquet", tmp_path / "a.parquet", "has two columns named 'x'; rename one")


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99)], ids=["encrypted", "compressed in an unknown way"])
def test_an_npz_that_cannot_be_unpacked_is_refused_in_one_line(save_npz: SaveNpz, place: int, value: int) -> None:
    path = save_npz()
    whole = bytearray(path.read_bytes())
    whole[whole.find(b"PK\x01\x02") + place] = value  # in the directory at the end, of the first member
    path.write_bytes(whole)
    refuse("npz", path, "is truncated or damaged")


def test_members_of_an_npz_that_are_no_arrays_are_not_taken_for_some(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("inputs", "1,2,3")
    refuse("npz", tmp_path / "a.npz", "has no array 'inputs'. Known: none.")


@pytest.mark.parametrize("separator", ["\n", '"', "é", "\0"])
def test_a_separator_that_cannot_be_is_refused(save_text: SaveText, separator: str) -> None:
    with pytest.raises(ConfigError, match=r"csv\.separator: must be a character of ASCII, no quotation mark"):
        DataConfig(source="csv", path=str(save_text(PEOPLE)), csv={"separator": separator}).chosen("source")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.99])
def test_truncated_files_are_refused_in_one_line(save_npz: SaveNpz, tmp_path: Path, kept: float) -> None:
    npz, parquet = save_npz(), tmp_path / "people.parquet"
    pd.DataFrame({"x": np.arange(5000.0), "y": np.arange(5000) % 3}).to_parquet(parquet)
    for path in (npz, parquet):
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept)])
        refuse(path.suffix[1:], path, "truncated or damaged")


def test_csv_and_parquet_of_the_same_rows_give_the_same_data(
    prepare: Prepare, save_text: SaveText, tmp_path: Path
) -> None:
    path = save_text(PEOPLE)
    pd.read_csv(path).to_parquet(tmp_path / "people.parquet")
    one, other = prepare("csv", path), prepare("parquet", tmp_path / "people.parquet")
    assert one.encoder == other.encoder
    np.testing.assert_array_equal(one.split("train").inputs, other.split("train").inputs)
    assert one.classes == other.classes == ("no", "yes")
    assert one.input_shape == (3,)


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


NUMBERS_TOO_LARGE = "age,card,kind\n" + "".join(f"{i % 7},{10**21 + i},{'ab'[i % 2]}\n" for i in range(60))


@pytest.mark.parametrize("options", [{"ignore": ["card"]}, {"columns": ["age"]}])
def test_what_a_column_holds_that_is_left_out_does_not_matter(
    prepare: Prepare, save_text: SaveText, options: dict[str, Any]
) -> None:
    assert prepare("csv", save_text(NUMBERS_TOO_LARGE), csv=options).input_shape == (1,)


def test_a_column_that_is_neither_is_refused_with_the_key_that_leaves_it_out(save_text: SaveText) -> None:
    refuse("csv", save_text(NUMBERS_TOO_LARGE), r"'card' holds int, such as .*, or leave it out \(data.csv.ignore\)")


def test_columns_of_ones_own_may_be_numbered_and_are_named_by_their_text() -> None:
    frame, labels = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1])
    raw = RawTable(frame=frame, labels=labels, classes=("a", "b"), where="own")
    assert list(raw.frame.columns) == ["0", "1"]
    assert list(frame.columns) == [0, 1]
    with pytest.raises(DataError, match="own: has two columns named '1'; rename one"):
        RawTable(frame=frame.set_axis([1, "1"], axis=1), labels=labels, classes=("a", "b"), where="own")


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">i8", "longdouble"])
def test_numbers_of_an_npz_may_be_written_in_another_byte_order_or_longer(
    prepare: Prepare, save_npz: SaveNpz, dtype: str
) -> None:
    rows, usual = np.random.default_rng(0).integers(-99, 99, (60, 3)), np.dtype(dtype).newbyteorder("=")
    as_usual = prepare("npz", save_npz(inputs=rows.astype("float64" if dtype == "longdouble" else usual)))
    found = prepare("npz", save_npz(inputs=rows.astype(dtype)))
    np.testing.assert_array_equal(found.split("train").inputs, as_usual.split("train").inputs)


def test_names_of_classes_may_be_bytes(prepare: Prepare, save_npz: SaveNpz) -> None:
    names = np.array(["Ärzte", "b", "c"])
    assert prepare("npz", save_npz(classes=np.char.encode(names))).classes == ("Ärzte", "b", "c")
    refuse("npz", save_npz(classes=np.char.encode(names, "latin-1")), r"the class b'.xc4rzte' is no UTF-8; write")


def test_label_columns_and_separator_can_be_chosen(prepare: Prepare, save_text: SaveText) -> None:
    path = save_text(PEOPLE.replace(",", ";"))
    dataset = prepare("csv", path, csv={"label": "city", "columns": ["age"], "separator": ";"})
    assert dataset.classes == ("a", "b")
    assert dataset.input_shape == (1,)


def test_integer_classes_are_in_numerical_order(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{(2, 10, 1)[i % 3]}\n" for i in range(60))
    assert prepare("csv", save_text("x,y\n" + rows)).classes == ("1", "2", "10")


WORDS = ["NA", "None", "nan", "null"]


@pytest.mark.parametrize("rest", ["hidden", "unlabelled"])
def test_classes_and_categories_may_be_called_as_pandas_calls_gaps(
    prepare: Prepare, save_text: SaveText, rest: str
) -> None:
    lines = [f"{i % 9 or 'NA'},{[*WORDS, '', 'x'][i % 6]},{WORDS[i // 6 % 4]}" for i in range(180)]
    dataset = prepare("csv", save_text("size,city,kind\n" + "\n".join(lines)), rest=rest)
    assert dataset.classes == tuple(WORDS)
    assert dataset.split("train").labelled.all()
    assert dataset.encoder is not None
    assert dataset.encoder["categories"] == {"city": [*WORDS, "x", None]}
    assert [(number["name"], number["missing"]) for number in dataset.encoder["numbers"]] == [("size", True)]


def test_a_class_among_numbers_may_be_called_so_too(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{('2', '1', 'NA')[i % 3]}\n" for i in range(60))
    assert prepare("csv", save_text("x,y\n" + rows)).classes == ("1", "2", "NA")


def test_gaps_and_constants_are_said(prepare: Prepare, save_text: SaveText) -> None:
    lines = [f"{'' if i == 5 else i},{'' if i == 6 else 'ab'[i % 2]},1,{i % 3}" for i in range(60)]
    notes = prepare("csv", save_text("age,city,same,kind\n" + "\n".join(lines))).notes
    assert notes[0].startswith("1 missing values in 'age' filled with the training mean ")
    assert notes[1] == "1 missing values in 'city' made a category of their own"
    assert notes[2] == "column 'same' dropped: constant in the training split"


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (PEOPLE, {"label": "knd"}, r"data.csv.label: .* no such column 'knd'. Did you mean 'kind'\?"),
        (
            PEOPLE,
            {"columns": ["age", "town"]},
            "data.csv.columns: .* no such column 'town'. Known: age, city",
        ),
        (PEOPLE, {"columns": ["kind"]}, "data.csv.columns: 'kind' is the label of .*; take it out of the list"),
        (PEOPLE, {"ignore": ["kind"]}, "data.csv.ignore: 'kind' is the label of .*; take it out of the list"),
        (PEOPLE, {"columns": ["age", "age"]}, "data.csv.columns: 'age' stands twice in the list; take one out"),
        ("age,age,kind\n" + "1,2,a\n3,4,b\n" * 9, {}, "has two columns named 'age'; rename one"),
        ("\ufeffage,kind,kind\n" + "1,2,a\n3,4,b\n" * 9, {}, "has two columns named 'kind'; rename one"),
        ("\n\n", {}, "no table with separator ',' "),
        (
            "age,kind\n" + "".join(f"{i % 3},{i}\n" for i in range(9)),
            {},
            "labels in 'kind' are all different, such as '0';",
        ),
        (PEOPLE, {"separator": ";"}, r"one column only \('age,city,kind'\); set data.csv.separator"),
        (PEOPLE, {"label": "age"}, "labels in 'age' are all different, such as '20'"),
        (PEOPLE + "1,2\n", {}, "row 60 has no label in 'kind'; fill it, leave the row out, choose another"),
        (PEOPLE + "1,2,yes,4\n", {}, "no table with separator ',' .*line 62"),
        ("age,kind\n", {}, "has a header but no rows"),
        (
            "age,kind\n" + "1.5,0.5\n2.5,1.5\n" * 9,
            {},
            "labels in 'kind' are numbers with decimals, such as 0.5",
        ),
        ("age,kind\n" + "1.5,a\n2.5,a\n" * 9, {}, r"one class only \('a'\)"),
        ("age,kind\n" + "inf,a\n2.5,b\n" * 9, {}, "column 'age' has 9 infinite"),
        (
            "name,kind\n" + "".join(f"n{i},{i % 2}\n" for i in range(300)),
            {},
            r"300 distinct .*\(data.csv.ignore",
        ),
    ],
)
def test_bad_tables_are_refused_in_one_line(save_text: SaveText, text: str, options: dict[str, Any], said: str) -> None:
    refuse("csv", save_text(text), said, csv=options)


def test_rows_longer_than_the_header_are_refused(save_text: SaveText) -> None:
    refuse("csv", save_text("x,y\n" + "1,2,0\n3,4,1\n" * 9), "no table with separator ','")


def test_text_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("ort,art\nKöln,a\nBonn,b\n".encode("latin-1") * 9)
    refuse("csv", path, "is no UTF-8 text")


def test_a_source_of_ones_own_is_checked_like_any_other(prepare: Prepare, monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "my_own_source.py").write_text(
        "import numpy as np\n"
        "from distill_tune.data import RawImages\n"
        "from distill_tune.data.sources import Source\n"
        "class Noise(Source):\n"
        "    dtype: str = 'uint8'\n"
        "    def load(self, config):\n"
        "        inputs = np.random.default_rng(0).integers(0, 9, (40, 1, 4, 4)).astype(self.dtype)\n"
        "        return RawImages(inputs=inputs, labels=np.arange(40) % 2, classes=('a', 'b'), where='noise')\n"
        "    def content(self, config):\n"
        "        return 'noise 1'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    name = "my_own_source:Noise"
    assert prepare(name).input_shape == (1, 4, 4)
    with pytest.raises(DataError, match=r"noise: images must be uint8 .* but are float32 \[40, 1, 4, 4\]"):
        prepare(name, **{name: {"dtype": "float32"}})


def test_columns_can_be_left_out_and_a_rows_number_is_remarked_on(prepare: Prepare, save_text: SaveText) -> None:
    rows = "".join(f"{i},{i % 7},{'ab'[i % 2]}\n" for i in range(60))
    path = save_text("number,size,kind\n" + rows, "numbered.csv")
    with_number = prepare("csv", path)
    assert any("'number' has another value in every row" in note for note in with_number.notes)
    without = prepare("csv", path, csv={"ignore": ["number"]})
    assert without.encoder is not None
    assert without.encoder["columns"] == ["size"]
    assert not any("every row" in note for note in without.notes)
