"""Arrays of an npz file: what valid ones become, and one line for every bad one."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from source_files import Prepare, SaveNpz, random_images, refuse

from distill_tune.data.dataset import open_test


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


@pytest.mark.parametrize("shape", [(60, 1, 8, 3), (60, 3, 8, 1), (60, 3, 8, 3)])
def test_channels_that_may_be_at_either_end_are_first_which_is_said(
    prepare: Prepare, save_npz: SaveNpz, shape: tuple[int, ...]
) -> None:
    dataset = prepare("npz", save_npz(inputs=random_images(*shape)))
    assert dataset.input_shape == shape[1:]
    said = f", but might be last: {shape[1]} of 8 x {shape[3]} pixels"
    assert dataset.notes[0].startswith("channels are first in ")
    assert dataset.notes[0].endswith(said)


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


def test_labels_of_the_datas_own_test_may_be_other_integers(prepare: Prepare, save_npz: SaveNpz) -> None:
    more = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
    theirs = np.arange(6) % 3
    labels = (np.arange(60) % 3).astype(np.uint64)
    dataset = prepare("npz", save_npz(labels=labels, test_inputs=more, test_labels=theirs))
    np.testing.assert_array_equal(open_test(dataset).labels, theirs)


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


def test_arrays_that_are_left_out_are_said_with_how_a_test_split_is_named(prepare: Prepare, save_npz: SaveNpz) -> None:
    rng, ids = np.random.default_rng(1), np.arange(60) % 3
    arrays = {"x_train": rng.normal(size=(60, 3)), "y_train": ids, "x_test": rng.normal(size=(6, 3)), "y_test": ids[:6]}
    path, train = save_npz(inputs=None, labels=None, **arrays), {"inputs": "x_train", "labels": "y_train"}
    (said,) = prepare("npz", path, npz=train).notes
    assert said == (
        "arrays in the file that are left out: x_test, y_test; data.npz.test_inputs and data.npz.test_labels could "
        "name a test split"
    )
    whole = prepare("npz", path, npz={**train, "test_inputs": "x_test", "test_labels": "y_test"})
    assert not [note for note in whole.notes if "left out" in note]
    assert list(open_test(whole).index) == list(range(60, 66))


def test_of_two_usual_names_the_second_is_left_out_of_images_too(prepare: Prepare, save_npz: SaveNpz) -> None:
    images = random_images(60, 5, 4)
    path = save_npz(inputs=images, x=images[::-1], test_inputs=images[:6], test_labels=np.arange(6) % 3)
    dataset = prepare("npz", path)
    np.testing.assert_array_equal(open_test(dataset).inputs[:, 0], images[:6])
    assert "arrays in the file that are left out: x" in dataset.notes


def test_objects_beside_the_data_are_not_looked_at(prepare: Prepare, save_npz: SaveNpz) -> None:
    path = save_npz(names=np.array([{}] * 60))
    assert prepare("npz", path).notes[0].startswith("arrays in the file that are left out: names; ")


@pytest.mark.parametrize("name", ["labels", "classes"])
def test_an_array_of_objects_is_refused_by_its_name(save_npz: SaveNpz, name: str) -> None:
    said = "never loaded; save arrays of numbers, or text by .astype.str.\\."
    refuse(
        "npz", save_npz(**{name: np.array(["a", "b", "c"] * 20, dtype=object)}), f"its array '{name}' holds Py.* {said}"
    )


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
            "class '1' has only 2 distinct samples, but training, validation and test need one each",
        ),
        ({"labels": np.arange(60) % 3 * 2}, "labels go up to 4, but no row has 1; number the classes from 0 on"),
        (
            {"labels": np.arange(60)[:, None] % 3},
            r"labels must be 1-D class ids, but have shape \[60, 1\]; use ravel\(\)",
        ),
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
        (
            {"inputs": np.zeros((60, 3))},
            r"class '0' has only 1 distinct sample \(of 20\), but training, validation and test need one each",
        ),
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


@pytest.mark.parametrize(("place", "value"), [(8, 1), (10, 99)], ids=["encrypted", "compressed in an unknown way"])
def test_an_npz_that_cannot_be_unpacked_is_refused_in_one_line(save_npz: SaveNpz, place: int, value: int) -> None:
    path = save_npz()
    whole = bytearray(path.read_bytes())
    whole[whole.find(b"PK\x01\x02") + place] = value  # in the first member's entry of the directory at the end
    path.write_bytes(whole)
    refuse("npz", path, "is truncated or damaged")


def test_members_of_an_npz_that_are_no_arrays_are_not_taken_for_some(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("inputs", "1,2,3")
    refuse("npz", tmp_path / "a.npz", "has no array 'inputs'. Known: none.")


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
