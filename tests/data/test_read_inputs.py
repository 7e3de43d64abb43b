"""New rows are read exactly as in training, whatever file they come in."""

import re
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from distill_tune.data import Dataset
from distill_tune.data.dataset import open_test
from distill_tune.data.encoder import TableEncoder
from distill_tune.data.inputs import read_inputs
from distill_tune.data.raw import RawTable
from distill_tune.errors import DataError

Prepare = Callable[..., Dataset]


@pytest.fixture
def people(tmp_path: Path, prepare: Prepare) -> tuple[pd.DataFrame, Dataset]:
    """A table with a gap, a category that looks like a number, and a constant column."""
    rows = range(90)
    frame = pd.DataFrame(
        {
            "age": [None if i == 5 else float(i % 41) for i in rows],
            "zone": pd.Series([f"{i % 3}" for i in rows], dtype="str"),
            "same": 1,
            "size": [(i * 7 % 90) / 9 for i in rows],
            "kind": ["no" if i % 2 else "yes" for i in rows],
        }
    )
    frame.to_parquet(tmp_path / "people.parquet")
    return frame, prepare("parquet", tmp_path / "people.parquet")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "semicolon.csv"])
def test_rows_of_a_table_become_the_features_of_training(
    people: tuple[pd.DataFrame, Dataset], tmp_path: Path, suffix: str
) -> None:
    frame, dataset = people
    test = open_test(dataset)
    new = frame.drop(columns="kind").iloc[test.index]
    path = tmp_path / f"new.{suffix}"
    if suffix == "parquet":
        new.to_parquet(path)
    else:
        new.to_csv(path, index=False, sep=";" if "semicolon" in suffix else ",")
    np.testing.assert_array_equal(read_inputs(path, dataset.encoder, dataset.input_shape), test.inputs)


def test_words_that_pandas_takes_for_gaps_are_read_as_in_training(tmp_path: Path, prepare: Prepare) -> None:
    lines = [f"{i % 7},{('NA', 'true', '', 'x')[i % 4]},{'ab'[i % 2]}" for i in range(80)]
    header, path = "size,self,kind", tmp_path / "data.csv"
    path.write_text("\n".join([header, *lines]))
    dataset = prepare("csv", path)
    test, new = open_test(dataset), tmp_path / "new.csv"
    new.write_text("\n".join([header, *(lines[row] for row in test.index)]))
    said: list[str] = []
    np.testing.assert_array_equal(read_inputs(new, dataset.encoder, dataset.input_shape, said.append), test.inputs)
    assert said == []
    new.write_text(f"{header}\nNA,None,a\n")
    read_inputs(new, dataset.encoder, dataset.input_shape, said.append)
    assert said == [
        "1 row has a 'self' that training had not ('None'); it counts as none",
        "1 row lacks 'size', which was never missing in training; it counts as its mean",
    ]


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_become_the_features_of_training(prepare: Prepare, save_npz: Callable[..., Path], suffix: str) -> None:
    source = save_npz()
    dataset = prepare("npz", source)
    test, raw = open_test(dataset), np.load(source)["inputs"]
    path = source.with_name(f"new.{suffix}")
    np.save(path, raw[test.index]) if suffix == "npy" else np.savez(path, rows=raw[test.index])
    np.testing.assert_array_equal(read_inputs(path, dataset.encoder, dataset.input_shape), test.inputs)


IMAGES = np.random.default_rng(0).integers(0, 256, (7, 3, 5, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    "array",
    [
        IMAGES,
        IMAGES.transpose(0, 2, 3, 1),
        IMAGES.reshape(7, 60),
        IMAGES.astype(np.float64),
        IMAGES.astype(np.int64),
    ],
)
def test_images_are_read_from_every_layout(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "new.npy", array)
    inputs = read_inputs(tmp_path / "new.npy", None, (3, 5, 4))
    assert inputs.dtype == np.uint8
    np.testing.assert_array_equal(inputs, IMAGES)


@pytest.mark.parametrize("shape", [(4, 6, 5), (5, 5, 5), (6, 6, 2)])
def test_the_students_shape_says_where_the_channels_of_an_image_are(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, *shape), dtype=np.uint8)
    layouts = [images] if len(set(shape)) == 1 else [images, images.transpose(0, 2, 3, 1)]
    for layout in layouts:
        np.save(tmp_path / "new.npy", layout)
        np.testing.assert_array_equal(read_inputs(tmp_path / "new.npy", None, shape), images)


def test_images_are_read_from_rows_of_pixels_in_a_csv(tmp_path: Path) -> None:
    pd.DataFrame(IMAGES.reshape(7, 60)).to_csv(tmp_path / "new.csv", index=False)
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.csv", None, (3, 5, 4)), IMAGES)


def test_an_array_may_have_the_name_that_it_had_in_training(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", pictures=IMAGES, kinds=np.zeros(7))
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.npz", None, (3, 5, 4), named="pictures"), IMAGES)
    with pytest.raises(DataError, match="name the array to predict on 'inputs'; there are 'pictures', 'kinds'"):
        read_inputs(tmp_path / "new.npz", None, (3, 5, 4))


def test_what_is_beside_the_array_is_not_looked_at(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", inputs=IMAGES, names=np.array([None] * 7))
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.npz", None, (3, 5, 4)), IMAGES)
    np.savez(tmp_path / "new.npz", inputs=np.array([None] * 7), names=IMAGES)
    with pytest.raises(DataError, match="its array 'inputs' holds Python objects, which are never loaded"):
        read_inputs(tmp_path / "new.npz", None, (3, 5, 4))


@pytest.mark.parametrize("name", ["inputs", "rows"])
def test_a_member_that_is_no_array_is_not_taken_for_one(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "new.npz", "w") as archive:
        archive.writestr(name, "1,2,3")
    with pytest.raises(DataError, match=r"new.npz: holds no NumPy array; write it with np.savez\.$"):
        read_inputs(tmp_path / "new.npz", None, (3, 5, 4))


def test_grey_images_need_no_channel(tmp_path: Path) -> None:
    np.savez(tmp_path / "new.npz", x=IMAGES[:, 0], other=np.zeros(3))
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.npz", None, (1, 5, 4)), IMAGES[:, :1])


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (IMAGES[:, :1], r"must be images \[n, 3, 5, 4\], but is \[7, 1, 5, 4\]"),
        (IMAGES.repeat(2, 1)[..., :2].repeat(3, 3), r"must be images \[n, 3, 5, 4\], but is \[7, 6, 5, 6\]"),
        (IMAGES[:0], r"has no images; it needs some to predict"),
        (IMAGES.reshape(7, 60)[:, 1:], r"images must be \[n, h, w\]"),
        (IMAGES / 255, "integers from 0 to 255"),
        (IMAGES.astype("str"), "integers from 0 to 255"),
        (np.where(np.arange(420).reshape(IMAGES.shape) == 9, np.nan, IMAGES), "one has nan"),
    ],
)
def test_images_of_another_kind_are_refused(tmp_path: Path, array: np.ndarray, said: str) -> None:
    np.save(tmp_path / "new.npy", array)
    with pytest.raises(DataError, match=said) as caught:
        read_inputs(tmp_path / "new.npy", None, (3, 5, 4))
    assert "new.npy" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("age,zne,size\n1,2,3\n", r"new.csv: no column 'zone'. Did you mean 'zne'\?"),
        ("age,zone,size\nold,2,3\n", "new.csv: column 'age' must hold numbers, but row 0 has 'old'"),
        ("age,zone,size\ninf,2,3\n", "new.csv: column 'age' has 1 infinite"),
        ("age,zone,size\n", r"new.csv: has no rows"),
        ("", "new.csv: is empty"),
    ],
)
def test_tables_of_another_kind_are_refused(
    people: tuple[pd.DataFrame, Dataset], save_text: Callable[..., Path], text: str, said: str
) -> None:
    with pytest.raises(DataError, match=said) as caught:
        read_inputs(save_text(text, "new.csv"), people[1].encoder, people[1].input_shape)
    assert "\n" not in str(caught.value)


def test_a_csv_needs_only_the_columns_that_the_student_uses(tmp_path: Path) -> None:
    frame = pd.DataFrame({"size": [1.0, 2.0, 4.0], "same": [1, 1, 1]})
    encoder, path = TableEncoder.fit(frame), tmp_path / "new.csv"
    frame[["size"]].to_csv(path, index=False)
    np.testing.assert_array_equal(read_inputs(path, encoder.to_dict(), (1,)), encoder.transform(frame))
    path.write_text("size:same\n1:1\n")
    with pytest.raises(DataError, match=r"new\.csv: has one column by the separator ','; write it as the training"):
        read_inputs(path, encoder.to_dict(), (1,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size;same\n1,0;1\n", "no table with separator ',', for its first line has \";\"; write the file with ','."),
        ("size,same\n1,1\n1,1,1\n", "; mend that line."),
    ],
    ids=["another separator", "a line too long"],
)
def test_rows_to_predict_are_refused_without_a_key_that_only_training_has(tmp_path: Path, text: str, said: str) -> None:
    encoder, path = TableEncoder.fit(pd.DataFrame({"size": [1.0, 2.0, 4.0], "same": [1, 2, 1]})), tmp_path / "new.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=re.escape(said)) as caught:
        read_inputs(path, encoder.to_dict(), (2,), separator=",")
    assert "separator = " not in str(caught.value)


def test_a_frame_with_two_columns_of_one_name_is_refused(people: tuple[pd.DataFrame, Dataset]) -> None:
    frame, dataset = people
    twice = pd.concat([frame, frame[["age"]]], axis=1)
    with pytest.raises(DataError, match=r"^the rows: has two columns named 'age'; rename one\.$"):
        read_inputs(twice, dataset.encoder, dataset.input_shape)


def test_a_frame_with_names_above_the_names_is_refused(people: tuple[pd.DataFrame, Dataset]) -> None:
    frame, dataset = people
    with pytest.raises(DataError, match=r"^the rows: each column must have one name, but has 2; join them\.$"):
        read_inputs(pd.concat({"people": frame}, axis=1), dataset.encoder, dataset.input_shape)


def test_a_column_may_be_called_as_pandas_calls_its_own_arguments(tmp_path: Path, prepare: Prepare) -> None:
    frame = pd.DataFrame({"self": [i / 9 for i in range(60)], "kind": ["no" if i % 2 else "yes" for i in range(60)]})
    frame.to_parquet(tmp_path / "new.parquet")
    dataset = prepare("parquet", tmp_path / "new.parquet")
    as_objects = frame[["self"]].astype(object)
    np.testing.assert_array_equal(
        read_inputs(as_objects, dataset.encoder, dataset.input_shape),
        read_inputs(frame, dataset.encoder, dataset.input_shape),
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("new.txt", b"1", r"end in one of .csv, .parquet, .npy, .npz, but ends in '.txt'"),
        ("new.npy", b"\x89PNG", "must be an .npy file, but is a PNG file"),
        ("new.npy", b"\x93NUMPY\x01\x00", "truncated or damaged"),
        ("new.npz", b"", "is empty"),
    ],
)
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_inputs(tmp_path / name, None, (1, 2, 2))


@pytest.mark.parametrize(
    "shape", ["(4,, }", "(True, 2), }", "(10000000000000000000000000, 2), }", "(4, 2), }\n  x\n y"]
)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_arrays_whose_head_is_damaged_are_refused(tmp_path: Path, shape: str, suffix: str) -> None:
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}\n".encode()
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + bytes(64)
    if suffix == "npz":
        with zipfile.ZipFile(tmp_path / "new.npz", "w") as file:
            file.writestr("inputs.npy", array)
    else:
        (tmp_path / "new.npy").write_bytes(array)
    with pytest.raises(DataError, match="truncated or damaged"):
        read_inputs(tmp_path / f"new.{suffix}", None, (1, 2, 2))


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone.csv: no such file"):
        read_inputs(tmp_path / "gone.csv", None, (1, 2, 2))


def test_arrays_without_a_name_that_says_which_are_refused(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"a": IMAGES, "b": IMAGES}
    np.savez(tmp_path / "new.npz", **arrays)
    with pytest.raises(DataError, match="name the array to predict on 'inputs'; there are 'a', 'b'"):
        read_inputs(tmp_path / "new.npz", None, (3, 5, 4))


@pytest.mark.parametrize("kind", ["datetime64[us]", "timedelta64[us]", "complex128"])
def test_a_column_that_pandas_would_make_numbers_of_in_its_own_way_is_refused(
    people: tuple[pd.DataFrame, Dataset], kind: str
) -> None:
    frame = people[0].assign(age=np.arange(len(people[0])).astype(kind))
    encoder = TableEncoder.from_dict(people[1].encoder or {})
    with pytest.raises(DataError, match=re.escape(f"column 'age' must hold numbers, but holds {kind}; make numbers")):
        encoder.transform(frame)


@pytest.mark.parametrize(
    ("column", "kind"),
    [(pd.period_range("2020", periods=90, freq="M"), "period[M]"), (np.full(90, 1 + 2j, dtype="object"), "complex128")],
)
def test_so_are_periods_and_complex_numbers_that_are_objects(
    people: tuple[pd.DataFrame, Dataset], column: Any, kind: str
) -> None:
    with pytest.raises(DataError, match=re.escape(f"column 'age' must hold numbers, but holds {kind}; make numbers")):
        TableEncoder.from_dict(people[1].encoder or {}).transform(people[0].assign(age=column))


def test_masked_cells_of_an_array_are_gaps() -> None:
    frame = pd.DataFrame({"x": [1.0, None, 3.0], "y": [2.0, 5.0, 7.0]})
    encoder = TableEncoder.fit(frame)
    rows = np.ma.masked_array([[1.0, 2.0], [9.0, 5.0], [3.0, 7.0]], mask=[[0, 0], [1, 0], [0, 0]])
    np.testing.assert_array_equal(read_inputs(rows, encoder.to_dict(), (3,)), encoder.transform(frame))


@pytest.mark.parametrize("values", [[1.0, None, 3.0], ["a", None, "b"]])
def test_an_empty_line_of_a_file_with_one_column_is_a_row(tmp_path: Path, values: list[Any]) -> None:
    frame = pd.DataFrame({"x": values})
    encoder = TableEncoder.fit(frame)
    (tmp_path / "new.csv").write_text("\n".join(["x", *("" if each is None else str(each) for each in values), ""]))
    expected = encoder.transform(frame)
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.csv", encoder.to_dict(), expected.shape[1:]), expected)


def test_a_table_array_with_another_number_of_columns_is_refused(
    people: tuple[pd.DataFrame, Dataset], tmp_path: Path
) -> None:
    np.save(tmp_path / "new.npy", np.zeros((3, 2)))
    with pytest.raises(DataError, match=r"new.npy: must be \[n, 4\] like the training inputs, but is \[3, 2\]"):
        read_inputs(tmp_path / "new.npy", people[1].encoder, people[1].input_shape)


def test_rows_that_have_lost_the_names_of_their_columns_are_wanted_as_a_frame(
    people: tuple[pd.DataFrame, Dataset], tmp_path: Path
) -> None:
    frame, dataset = people
    for rows in (frame.iloc[0], frame.to_dict("records")[:2]):
        with pytest.raises(
            DataError, match=r"^the rows: must be \[n, 4\] .*, or a pandas.DataFrame, which names them\.$"
        ):
            read_inputs(rows, dataset.encoder, dataset.input_shape)  # type: ignore[arg-type]
    np.save(tmp_path / "new.npy", np.zeros((3, 2)))
    with pytest.raises(DataError, match=r", or a CSV or Parquet file, which names them\.$"):
        read_inputs(tmp_path / "new.npy", dataset.encoder, dataset.input_shape)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", None])
def test_a_table_is_not_taken_for_images_of_another_shape(
    people: tuple[pd.DataFrame, Dataset], tmp_path: Path, suffix: str | None
) -> None:
    frame, place = people[0], tmp_path / f"new{suffix}"
    if suffix == ".csv":
        frame.to_csv(place, index=False)
    elif suffix == ".parquet":
        frame.to_parquet(place)
    said = (
        r"is a table of 5 columns, but this student has learned from images; give pictures, an array \[n, 3, 5, 4\], "
    )
    with pytest.raises(DataError, match=said + "or 60 columns with a pixel each"):
        read_inputs(place if suffix else frame, None, (3, 5, 4))


@pytest.mark.parametrize("dtype", [">f4", ">i8", "longdouble"])
def test_numbers_of_an_array_may_be_written_in_another_byte_order_or_longer(tmp_path: Path, dtype: str) -> None:
    rows = np.random.default_rng(0).integers(-9, 9, (40, 4)) * np.array([1, 0, 1, 1])
    frame = pd.DataFrame(rows, columns=["x", "same", "y", "z"])
    encoder = TableEncoder.fit(frame)
    np.save(tmp_path / "new.npy", rows.astype(dtype))
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.npy", encoder.to_dict(), (3,)), encoder.transform(frame))


def test_numbered_columns_are_found_in_a_table_and_by_their_places_in_an_array(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 2))
    raw = RawTable(frame=pd.DataFrame(rows), labels=np.arange(40) % 2, classes=("a", "b"), where="own")
    encoder = TableEncoder.fit(raw.frame)
    np.save(tmp_path / "new.npy", rows)
    pd.DataFrame(rows).to_csv(tmp_path / "new.csv", index=False)
    for name in ("new.npy", "new.csv"):
        got = read_inputs(tmp_path / name, encoder.to_dict(), (2,))
        np.testing.assert_allclose(got, encoder.transform(raw.frame), rtol=1e-6)


def test_an_input_may_be_the_row_index_of_the_new_rows(people: tuple[pd.DataFrame, Dataset], tmp_path: Path) -> None:
    frame, dataset = people
    new = frame.drop(columns="kind").iloc[open_test(dataset).index]
    new.set_index("zone").to_parquet(tmp_path / "new.parquet")
    got = read_inputs(tmp_path / "new.parquet", dataset.encoder, dataset.input_shape)
    np.testing.assert_array_equal(got, open_test(dataset).inputs)


def test_what_training_has_not_seen_is_said_and_what_it_has_is_not(
    people: tuple[pd.DataFrame, Dataset], tmp_path: Path
) -> None:
    frame, dataset = people
    new = frame.drop(columns="kind").iloc[:6].copy()
    said: list[str] = []
    new.to_parquet(tmp_path / "new.parquet")
    read_inputs(tmp_path / "new.parquet", dataset.encoder, dataset.input_shape, said.append)
    assert said == []
    new["zone"] = ["0", "9", "9", "1", "2", "0"]
    new.loc[new.index[0], "size"] = None
    new.to_parquet(tmp_path / "new.parquet")
    read_inputs(tmp_path / "new.parquet", dataset.encoder, dataset.input_shape, said.append)
    assert said == [
        "2 rows have a 'zone' that training had not ('9'); it counts as none",
        "1 row lacks 'size', which was never missing in training; it counts as its mean",
    ]


@pytest.mark.parametrize("gap", [None, "Rome"], ids=["training had gaps", "training had none"])
def test_a_frame_whose_category_pandas_took_for_a_gap_is_told_how_to_read_it(tmp_path: Path, gap: str | None) -> None:
    encoder = TableEncoder.fit(pd.DataFrame({"city": ["NA", "Rome", gap] * 9}))
    (tmp_path / "new.csv").write_text("city,n\nNA,1\nRome,2\nNA,3\n")
    shape, said = (len(encoder.feature_names),), list[str]()
    frames = [pd.read_csv(tmp_path / "new.csv", **kept) for kept in ({}, {"keep_default_na": False, "na_values": [""]})]
    wrong, right = (read_inputs(frame, encoder.to_dict(), shape, said.append) for frame in frames)
    assert said[-1] == (
        "2 gaps in 'city', of which 'NA' is a category: if pandas.read_csv made gaps of that word, read with "
        "keep_default_na=False, na_values=['']"
    )
    assert len(said) == 1 + (gap is not None)
    assert (wrong != right).any()
    np.testing.assert_array_equal(read_inputs(tmp_path / "new.csv", encoder.to_dict(), shape, pytest.fail), right)


def test_rows_may_be_a_list_of_lists() -> None:
    rows = [[0] * 30, [7] * 30]
    assert np.array_equal(read_inputs(rows, None, (1, 6, 5)), np.array(rows).reshape(2, 1, 6, 5))  # type: ignore[arg-type]
