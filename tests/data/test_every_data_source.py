"""What every data source guarantees; a new one adds how to make its data."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image
from source_files import idx

from distill_tune.config.sections import DataConfig
from distill_tune.data import RawImages, RawTable, prepare_data
from distill_tune.data.build import Built, build
from distill_tune.data.sources import fashion_mnist, letter
from distill_tune.errors import DataError
from distill_tune.registry import DATA_SOURCES

Keys = dict[str, Any]
"""Keys of `[data]`, besides `source`."""


def a_table(seed: int) -> pd.DataFrame:
    """90 rows of three classes: numbers, a category, gaps in both, and the label last."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(random.normal(size=(90, 3)).round(6), columns=["a", "b", "c"])
    frame["kind"] = random.choice(["red", "green"], 90)
    frame.loc[random.choice(90, 5, replace=False), ["c", "kind"]] = None
    return frame.assign(label=np.array(["x", "y", "z"])[np.arange(90) % 3])


def of_blobs(folder: Path, seed: int) -> Keys:
    return {"blobs": {"samples": 300, "features": 5, "classes": 3, "informative": 4, "seed": seed}}


def of_csv(folder: Path, seed: int) -> Keys:
    a_table(seed).to_csv(folder / "d.csv", index=False)
    return {"path": str(folder / "d.csv")}


def of_fashion_mnist(folder: Path, seed: int) -> Keys:
    random = np.random.default_rng(seed)
    for images, labels, rows in ((0, 1, 100), (2, 3, 30)):
        pixels = random.integers(0, 256, (rows, 6, 5), dtype=np.uint8)
        (folder / fashion_mnist.FILES[images]).write_bytes(idx(pixels))
        (folder / fashion_mnist.FILES[labels]).write_bytes(idx((np.arange(rows) % 10).astype(np.uint8)))
    return {"path": str(folder)}


def of_image_folder(folder: Path, seed: int) -> Keys:
    random = np.random.default_rng(seed)
    for row in range(90):
        of_class = folder / "images" / "xyz"[row % 3]
        of_class.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (6, 5), dtype=np.uint8)).save(of_class / f"{row:02}.png")
    return {"path": str(folder / "images")}


def of_letter(folder: Path, seed: int) -> Keys:
    frame = pd.DataFrame(np.random.default_rng(seed).integers(0, 16, (260, 16)), columns=list(letter.FEATURES))
    frame.insert(0, letter.LABEL, [chr(65 + row % 26) for row in range(260)])
    frame.to_csv(folder / "letter.csv", index=False)
    return {"path": str(folder / "letter.csv")}


def of_npz(folder: Path, seed: int) -> Keys:
    images = np.random.default_rng(seed).integers(0, 256, (90, 1, 6, 5), dtype=np.uint8)
    np.savez(folder / "d.npz", inputs=images, labels=np.arange(90) % 3)
    return {"path": str(folder / "d.npz")}


def of_parquet(folder: Path, seed: int) -> Keys:
    a_table(seed).to_parquet(folder / "d.parquet")
    return {"path": str(folder / "d.parquet")}


MAKE: dict[str, Callable[[Path, int], Keys]] = {
    "blobs": of_blobs,
    "csv": of_csv,
    "digits": lambda folder, seed: {},
    "fashion_mnist": of_fashion_mnist,
    "image_folder": of_image_folder,
    "letter": of_letter,
    "npz": of_npz,
    "parquet": of_parquet,
}
"""By source: writes small data of a seed into a folder, always in the same place, and returns the keys."""
WITHOUT_FILES = ("blobs", "digits")
"""Sources that read no user files."""
THE_SAME_FOR_ALL = ("digits",)
"""Sources with only one data set, which no option changes."""
every_source = pytest.mark.parametrize("name", DATA_SOURCES.names)
every_reader = pytest.mark.parametrize("name", [name for name in DATA_SOURCES.names if name not in WITHOUT_FILES])


def section(name: str, folder: Path, seed: int = 0) -> DataConfig:
    """`[data]` with the source, on data made for it."""
    assert name in MAKE, f"{Path(__file__).name}: add how to make small data for the data source {name!r} to MAKE"
    return DataConfig(source=name, **MAKE[name](folder, seed))


def digest_of(built: Built) -> str:
    arrays = [array for split in built.splits.values() for array in split.values()]
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


@every_source
def test_a_source_hands_over_what_every_later_step_relies_on(name: str, tmp_path: Path) -> None:
    config = section(name, tmp_path)
    raw = config.chosen("source").load(config)
    assert isinstance(raw, RawImages | RawTable)
    assert raw.labels.dtype == np.int64
    assert set(raw.labels) == set(range(len(raw.classes)))
    assert all(isinstance(each, str) for each in raw.classes)
    assert raw.where
    assert "\n" not in raw.where
    assert 0 <= raw.own_test < raw.rows == len(raw.row_hashes())


@every_source
def test_what_is_built_has_one_shape_and_the_dtype_of_its_kind(name: str, tmp_path: Path) -> None:
    config = section(name, tmp_path)
    is_image = isinstance(config.chosen("source").load(config), RawImages)
    built = build(config)
    assert len(built.input_shape) == (3 if is_image else 1)
    for split, arrays in built.splits.items():
        assert arrays["inputs"].shape == (built.num_rows[split], *built.input_shape)
        assert arrays["inputs"].dtype == (np.uint8 if is_image else np.float32)
        assert np.isfinite(arrays["inputs"]).all()
    if is_image:
        assert len(built.mean) == len(built.std) == built.input_shape[0]
        assert min(built.std) > 0


@every_source
def test_every_row_is_in_one_split_and_the_splits_are_stratified(name: str, tmp_path: Path) -> None:
    config = section(name, tmp_path)
    raw, built = config.chosen("source").load(config), build(config)
    index = np.concatenate([arrays["index"] for arrays in built.splits.values()])
    assert sorted(index) == list(range(raw.rows)) == list(range(built.num_source_rows))
    for arrays in built.splits.values():
        assert list(arrays["labels"]) == list(raw.labels[arrays["index"]])

    def counts(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return np.bincount(labels, minlength=len(raw.classes))

    train, validation, test = (counts(built.splits[split]["labels"]) for split in ("train", "validation", "test"))
    assert (np.abs(validation - config.validation * (train + validation)) <= 1).all()
    dealt = test[:0] if raw.own_test else np.abs(test - 0.2 * counts(raw.labels))
    assert (dealt <= 1).all()


def test_every_source_gives_another_process_the_same_and_reads_without_torch(tmp_path: Path) -> None:
    sections = dict[str, Keys]()
    for name in DATA_SOURCES.names:
        (folder := tmp_path / name).mkdir()
        sections[name] = section(name, folder).model_dump()
    program = (
        "import json, sys, test_every_data_source as here\n"
        "given = json.loads(sys.argv[1])\n"
        "found = {name: here.digest_of(here.build(here.DataConfig(**keys))) for name, keys in given.items()}\n"
        "print(json.dumps([found, sorted({'torch', 'ray', 'optuna'} & set(sys.modules))]))"
    )
    asked = [sys.executable, "-c", program, json.dumps(sections)]
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(paths)})
    found, heavy = json.loads(done.stdout)
    assert found == {name: digest_of(build(DataConfig(**keys))) for name, keys in sections.items()}
    assert heavy == []


@every_source
def test_the_same_data_are_known_again_wherever_they_are(name: str, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    configs = [section(name, folder) for folder in (*folders, folders[0])]  # the last rewrites the first's bytes
    assert len({config.chosen("source").content(config) for config in configs}) == 1
    first, again = (prepare_data(configs[0], tmp_path / "cache") for _ in range(2))
    assert first.folder == again.folder
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("name", [name for name in DATA_SOURCES.names if name not in THE_SAME_FOR_ALL])
def test_other_content_has_another_fingerprint(name: str, tmp_path: Path) -> None:
    before = prepare_data(section(name, tmp_path), tmp_path)
    after = prepare_data(section(name, tmp_path, seed=1), tmp_path)
    assert before.fingerprint != after.fingerprint
    assert not np.array_equal(before.split("train").inputs, after.split("train").inputs)


@every_reader
@pytest.mark.parametrize("harm", ["there is none", "a file of another kind", "an empty file", "an empty folder"])
def test_a_path_that_cannot_be_read_is_refused_in_one_line(name: str, harm: str, tmp_path: Path) -> None:
    config = section(name, tmp_path)
    bad, cache = tmp_path / "bad", tmp_path / "cache"
    if harm == "an empty folder":
        bad.mkdir()
    elif harm != "there is none":
        bad.write_bytes(b"\x89PNG\r\n\x1a\n" if harm == "a file of another kind" else b"")
    with pytest.raises(DataError) as caught:
        prepare_data(config.model_copy(update={"path": str(bad)}), cache)
    assert str(bad) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not cache.exists()
