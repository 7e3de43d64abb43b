"""A teacher given only as logits: read from three kinds of file, refused in one line if they are wrong."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loaded_teachers import loaded_from

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, Say

CLASSES = ("cat", "dog", "hen")
DATA_SPEC = DataSpec(CLASSES, (4,), (), (), "data", 6)
LOGITS = np.random.default_rng(0).normal(size=(6, 3)) * 5


def load(path: Path, say: Say = lambda line: None) -> np.ndarray:
    """The teacher's table, loaded the way `prepare` does."""
    config = TeacherConfig(source="logits", path=str(path))
    teacher = loaded_from(config, DATA_SPEC, path.parent, say)
    assert teacher.module is None
    assert isinstance(teacher.table, np.ndarray)
    return teacher.table


def write(folder: Path, name: str, logits: Any = LOGITS) -> Path:
    path = folder / name
    if path.suffix == ".npy":
        np.save(path, logits)
    elif path.suffix == ".npz":
        np.savez(path, **(logits if isinstance(logits, dict) else {"logits": logits}))
    else:
        pq.write_table(pa.table(logits if isinstance(logits, dict) else dict(zip("abc", logits.T, strict=True))), path)
    return path


@pytest.mark.parametrize("name", ["l.npy", "l.npz", "l.parquet"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_logits_are_read_as_float32(tmp_path: Path, name: str, dtype: Any) -> None:
    table = load(write(tmp_path, name, LOGITS.astype(dtype)))
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table, LOGITS.astype(dtype).astype(np.float32))


def test_a_file_of_one_array_is_read_where_it_lies(tmp_path: Path) -> None:
    assert isinstance(load(write(tmp_path, "l.npy", LOGITS.astype(np.float32))).base, np.memmap)


def test_the_only_array_of_an_npz_may_have_any_name_and_of_several_logits_is_taken(tmp_path: Path) -> None:
    np.testing.assert_allclose(load(write(tmp_path, "one.npz", {"anything": LOGITS})), LOGITS, rtol=1e-6)
    both = {"labels": np.zeros(6), "logits": LOGITS}
    np.testing.assert_allclose(load(write(tmp_path, "two.npz", both)), LOGITS, rtol=1e-6)


def test_parquet_columns_that_are_named_like_the_classes_are_put_in_their_order(tmp_path: Path) -> None:
    columns = {name: LOGITS[:, CLASSES.index(name)] for name in ("hen", "cat", "dog")}
    np.testing.assert_allclose(load(write(tmp_path, "l.parquet", columns)), LOGITS, rtol=1e-6)


BY_PLACE = [["p_cat", "p_dog", "p_hen"], ["1", "2", "3"]]


@pytest.mark.parametrize(
    ("names", "told"),
    [(["cat", "dog", "hen"], ""), (["0", "1", "2"], ""), *((names, ", ".join(names)) for names in BY_PLACE)],
)
def test_parquet_columns_that_count_by_their_places_are_said(tmp_path: Path, names: list[str], told: str) -> None:
    said: list[str] = []
    load(write(tmp_path, "l.parquet", dict(zip(names, LOGITS.T, strict=True))), said.append)
    line = f"teacher: its columns ({told}) stand for the data's classes (cat, dog, hen), in this order; "
    assert said == [f"{line}if that is not so, name them like the classes"] * bool(told)


def test_what_is_said_of_columns_does_not_depend_on_what_pandas_is_said_to_have_written(tmp_path: Path) -> None:
    path, said = tmp_path / "l.parquet", list[str]()
    table = pa.table(dict(zip(("p_cat", "p_dog", "p_hen"), LOGITS.T, strict=True)))
    pq.write_table(table.replace_schema_metadata({"pandas": "{broken"}), path)
    np.testing.assert_allclose(load(path, said.append), LOGITS, rtol=1e-6)
    assert [line[:40] for line in said] == ["teacher: its columns (p_cat, p_dog, p_he"]


def test_parquet_columns_of_which_some_are_classes_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "l.parquet", dict(zip(["dog", "cat", "x"], LOGITS.T, strict=True)))
    with pytest.raises(TeacherError, match=r"has columns that are classes \(cat, dog\) beside others \(x\); name all"):
        load(path)


FRAME = pd.DataFrame(LOGITS, columns=list(CLASSES))
FOLDS = pd.concat([FRAME.iloc[1::2], FRAME.iloc[::2]])  # as labelled by models of two folds
SORT, PUT = (
    r"write it after sort_index\(\), or after reset",
    r"put its rows into the data's order, and write it after reset",
)
OUT_OF_ORDER = {
    "folds": (FOLDS, "row 0 has '1'", SORT),
    "folds, named": (FOLDS.rename_axis("row"), "row 0 has '1'", SORT),
    "reversed": (FRAME[::-1], "row 0 has '5'", SORT),
    "counted from 1": (FRAME.set_axis(pd.RangeIndex(1, 7)), "row 0 has '1'", PUT),
    "every other row": (FRAME.set_axis(pd.RangeIndex(0, 12, 2)), "row 1 has '2'", PUT),
    "names": (FRAME.set_axis(list("uvwxyz")), "row 0 has 'u'", PUT),
    "days": (FRAME.set_axis(pd.date_range("2024-01-01", periods=6)), "row 0 has '2024-01-01 00:00:00'", PUT),
}


@pytest.mark.parametrize("case", OUT_OF_ORDER)
def test_a_row_index_that_does_not_count_says_that_rows_may_be_in_another_order(tmp_path: Path, case: str) -> None:
    frame, odd, way_out = OUT_OF_ORDER[case]
    frame.to_parquet(tmp_path / "l.parquet")
    refused(tmp_path / "l.parquet", rf"the row index of 'l.parquet' does not count .*\({odd}\).*; {way_out}")
    frame.reset_index(drop=True).to_parquet(tmp_path / "l.parquet")
    np.testing.assert_allclose(load(tmp_path / "l.parquet"), frame.to_numpy(), rtol=1e-6)


@pytest.mark.parametrize("frame", [FRAME, FOLDS.sort_index(), FOLDS.rename_axis("row").sort_index()])
def test_a_row_index_that_counts_is_no_column_and_no_reason_to_refuse(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_parquet(tmp_path / "l.parquet")
    np.testing.assert_allclose(load(tmp_path / "l.parquet"), LOGITS, rtol=1e-6)


def test_of_a_file_with_too_few_rows_their_number_is_said_and_not_their_order(tmp_path: Path) -> None:
    FOLDS[:3].to_parquet(tmp_path / "l.parquet")
    refused(tmp_path / "l.parquet", r"but has shape \(3, 3\)")


@pytest.mark.parametrize("digits", [2, 3])
def test_probabilities_that_were_rounded_are_no_logits_either(tmp_path: Path, digits: int) -> None:
    shares = np.random.default_rng(1).dirichlet([1.0] * 3, size=6).round(digits)
    with pytest.raises(TeacherError, match="probabilities"):
        load(write(tmp_path, "l.npy", shares))


@pytest.mark.parametrize("whole", [1.0, 100.0])
def test_probabilities_are_refused_in_per_cent_too(tmp_path: Path, whole: float) -> None:
    shares = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    with pytest.raises(TeacherError, match=r"probabilities, which a temperature cannot soften"):
        load(write(tmp_path, "l.npy", whole * shares))


@pytest.mark.parametrize(("rows", "told"), [([2], "1 row of its logits is"), ([2, 4], "2 rows of its logits are")])
def test_logits_that_are_all_0_are_taken_with_a_warning(tmp_path: Path, rows: list[int], told: str) -> None:
    logits, said = LOGITS.copy(), list[str]()
    logits[rows] = 0
    np.testing.assert_allclose(load(write(tmp_path, "l.npy", logits), said.append), logits, rtol=1e-6)
    (line,) = said
    assert line.startswith(f"warning: teacher: {told} all 0, the first is row 2, which teaches that all classes are eq")


def test_the_identity_follows_the_content(tmp_path: Path) -> None:
    config = TeacherConfig(source="logits", path=str(write(tmp_path, "l.npy")))
    before = config.chosen("source").identity(config, DATA_SPEC)
    write(tmp_path, "l.npy", LOGITS + 1)
    assert config.chosen("source").identity(config, DATA_SPEC) != before


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits - np.log(np.exp(logits).sum(1, keepdims=True)))


def test_logarithms_of_probabilities_are_logits(tmp_path: Path) -> None:
    np.testing.assert_allclose(load(write(tmp_path, "l.npy", log_softmax(LOGITS))), log_softmax(LOGITS), rtol=1e-6)


HUGE = np.where(LOGITS.max() == LOGITS, 1e300, LOGITS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("l.npy", LOGITS[:5], r"shape \(6, 3\), but has shape \(5, 3\)"),
        ("l.npy", LOGITS[:, :2], r"shape \(6, 3\), but has shape \(6, 2\)"),
        ("l.npy", LOGITS.reshape(-1), r"but has shape \(18,\)"),
        ("l.npy", np.where(LOGITS > 3, np.nan, LOGITS), "must be finite numbers"),
        ("l.npy", np.where(LOGITS > 3, np.inf, LOGITS), "must be finite numbers"),
        ("l.npy", HUGE, r"must be finite numbers of float32, but row \d has 1e\+300; let"),
        ("l.npy", LOGITS.astype(str), "must be finite numbers, but are <U32; write them as float32"),
        ("l.npy", LOGITS > 0, "must be finite numbers, but are bool; write them as float32"),
        ("l.npy", LOGITS.astype(object), "holds Python objects, which are never loaded; save arrays of numbers"),
        ("l.npy", np.exp(log_softmax(LOGITS)), "holds probabilities, .* or the logarithms"),
        ("l.npz", {"a": LOGITS, "b": LOGITS}, "must hold one array, or one that is called 'logits', but holds a, b"),
        ("l.parquet", {"a": list("abcdef"), "b": [0.0] * 6, "c": [0.0] * 6}, "must be finite numbers"),
        ("l.npz", {}, "must hold one array, or one that is called 'logits', but holds none"),
        ("l.npz", {"logits": LOGITS.astype(object)}, "holds Python objects, which are never loaded"),
        ("l.parquet", {"a": [[1.0, 2.0, 3.0]] * 6}, r"shape \(6, 3\), but has shape \(6, 1\); write"),
        ("l.parquet", {}, r"shape \(6, 3\), but has shape \(0, 0\)"),
        ("l.parquet", {"a": [0.0] * 5 + [None], "b": [0.0] * 6, "c": [0.0] * 6}, "must be finite numbers"),
    ],
)
def test_what_cannot_be_the_teachers_logits_is_refused(tmp_path: Path, name: str, content: Any, message: str) -> None:
    refused(write(tmp_path, name, content), message)


@pytest.mark.parametrize("name", ["l.npy", "l.npz", "l.parquet"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, f"{name}: is truncated or damaged")
    path.write_bytes(b"")
    refused(path, f"{name}: is empty, but must be the teacher's file")
    path.write_bytes(b"a,b,c\n1,2,3\n")
    refused(
        path, rf"logits are read from .npy, .npz and Parquet files, but '{name}' is a CSV \(text\) file; write them"
    )


def test_logits_for_which_there_is_no_memory_are_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (600000000000, 300), }".ljust(117) + b"\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    (tmp_path / "l.npy").write_bytes(array)  # needs none, but lacks the logits
    refused(tmp_path / "l.npy", "l.npy: is truncated or damaged")
    with zipfile.ZipFile(tmp_path / "l.npz", "w") as archive:
        archive.writestr("logits.npy", array)
    refused(tmp_path / "l.npz", "l.npz: is damaged, or too large for this machine")


def test_what_is_beside_the_logits_in_an_npz_is_not_looked_at(tmp_path: Path) -> None:
    both = {"names": np.array([None] * 6), "logits": LOGITS}
    np.testing.assert_allclose(load(write(tmp_path, "two.npz", both)), LOGITS, rtol=1e-6)


def test_a_file_is_read_as_what_it_is_and_not_as_it_is_called(tmp_path: Path) -> None:
    path = write(tmp_path, "l.npy").rename(tmp_path / "LOGITS")
    np.testing.assert_allclose(load(path), LOGITS, rtol=1e-6)


def test_a_missing_file_and_another_kind_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.npy", "none.npy: no such file; it must be the teacher's file")
    (tmp_path / "l.npy").mkdir()
    refused(tmp_path / "l.npy", "l.npy: is a folder, but must be the teacher's file")
    refused(tmp_path / ("l" * 300), "cannot be read .File name too long.")
    (tmp_path / "l.png").write_bytes(b"\x89PNG")
    refused(tmp_path / "l.png", "logits are read from .npy, .npz and Parquet files, but 'l.png' is a PNG file; write")


def refused(path: Path, message: str) -> None:
    """Check for one line that starts with the key."""
    with pytest.raises(TeacherError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith("teacher.path: ")
    assert "\n" not in str(caught.value)
