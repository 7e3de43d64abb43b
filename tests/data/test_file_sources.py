"""What npz, csv and parquet files share: what is refused, and that the same rows are the same data."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from source_files import PEOPLE, Prepare, SaveNpz, SaveText, refuse

from distill_tune.data.files import check_names
from distill_tune.data.raw import RawTable
from distill_tune.data.splits import split_rows
from distill_tune.errors import ConfigError, DataError


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


@pytest.mark.parametrize("name", ["[Content_Types].xml", "docProps/app.xml", "xl/workbook.xml", "mimetype"])
def test_a_sheet_of_an_office_program_is_no_file_of_arrays(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "sheet.csv", "w") as file:
        file.writestr(name, "a sheet")
    said = r"must be a CSV \(text\) file, but is an Excel \(or other office\) file; convert it to a CSV \(text\) file\."
    refuse("csv", tmp_path / "sheet.csv", said)
    (tmp_path / "sheet.csv").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    refuse("csv", tmp_path / "sheet.csv", said)


def test_a_zipped_csv_is_to_be_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "data.csv", "w") as file:
        file.writestr("data.csv", PEOPLE)
    refuse("csv", tmp_path / "data.csv", r"but is an \.npz \(zip\) file; use data.source = 'npz', or unpack it")


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


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_names_of_many_columns_are_not_compared_each_with_each() -> None:
    check_names([Counted(f"x{i}") for i in range(1000)], "data")
    assert Counted.compared < 1000


def test_columns_of_ones_own_may_be_numbered_and_are_named_by_their_text() -> None:
    frame, labels = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1])
    raw = RawTable(frame=frame, labels=labels, classes=("a", "b"), where="own")
    assert list(raw.frame.columns) == ["0", "1"]
    assert list(frame.columns) == [0, 1]
    with pytest.raises(DataError, match="own: has two columns named '1'; rename one"):
        RawTable(frame=frame.set_axis([1, "1"], axis=1), labels=labels, classes=("a", "b"), where="own")


@pytest.mark.parametrize(("dtype", "like"), [(">f8", "f8"), (">i4", "i4"), ("longdouble", "f8")])
def test_columns_of_ones_own_may_be_in_another_byte_order_or_longer(dtype: str, like: str) -> None:
    rows, labels = np.random.default_rng(0).integers(-9, 9, (60, 2)), np.arange(60) % 2
    theirs, raw = (
        RawTable(frame=pd.DataFrame(rows.astype(kind)), labels=labels, classes=("a", "b"), where="own")
        for kind in (dtype, like)
    )
    np.testing.assert_array_equal(theirs.row_hashes(), raw.row_hashes())
    pd.testing.assert_frame_equal(theirs.frame, raw.frame)


def test_the_own_test_split_may_be_counted_by_numpy() -> None:
    labels = np.arange(60) % 2
    raw = RawTable(
        frame=pd.DataFrame({"x": np.arange(60)}),
        labels=labels,
        classes=("a", "b"),
        where="own",
        own_test=(labels[:20] == 0).sum().astype(np.uint8),
    )
    assert len(split_rows(raw, 0.3, None, 0).test) == 10


def test_where_the_files_of_a_source_of_ones_own_are_makes_other_data(
    prepare: Prepare, monkeypatch: Any, tmp_path: Path
) -> None:
    """`content` may be a constant, as if the data were made up; even so, other files must not pass for the same."""
    (tmp_path / "my_filed_source.py").write_text(
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from distill_tune.data import RawImages\n"
        "from distill_tune.data.sources import Source\n"
        "class Filed(Source):\n"
        "    def load(self, config):\n"
        "        seed = int(Path(config.path).read_text())\n"
        "        inputs = np.random.default_rng(seed).integers(0, 9, (40, 1, 4, 4)).astype('uint8')\n"
        "        return RawImages(inputs=inputs, labels=np.arange(40) % 2, classes=('a', 'b'), where='noise')\n"
        "    def content(self, config):\n"
        "        return 'noise 1'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    means = []
    for seed in "01":
        (tmp_path / seed).write_text(seed)
        means.append(prepare("my_filed_source:Filed", tmp_path / seed).split("train").inputs.mean())
    assert means[0] != means[1]


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
