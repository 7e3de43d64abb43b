"""digits, blobs, letter and fashion_mnist: the data sets known by name."""

import gzip
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from source_files import idx

from distill_tune.config.messages import BrokenRule
from distill_tune.config.sections import DataConfig
from distill_tune.data import Dataset
from distill_tune.data.build import build
from distill_tune.data.dataset import open_test
from distill_tune.data.sources import fashion_mnist, letter
from distill_tune.errors import ConfigError, DataError

Prepare = Callable[..., Dataset]
DEBIAN_FASHION = Path(fashion_mnist.PLACES[0])
LETTER = next(
    (Path(p) for p in (os.environ.get("DISTILL_TUNE_LETTER", ""), *letter.PLACES) if p and Path(p).exists()),
    None,
)


def test_entries_are_imported_without_numpy() -> None:
    """Nor anything heavier, as `test_registry.py` checks for all entries."""
    code = (
        "import sys; from distill_tune.registry import DATA_SOURCES; import distill_tune.data;"
        "[DATA_SOURCES.get(name) for name in DATA_SOURCES.names]; sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Digits


def test_digits_are_read_without_the_package_that_brings_them() -> None:
    """Importing scikit-learn would cost each first search on them a second."""
    code = (
        "import sys; from distill_tune.config.sections import DataConfig; from distill_tune.data.build import build;"
        "built = build(DataConfig(source='digits')); assert built.num_source_rows == 1797;"
        "sys.exit('sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Blobs


def test_blobs_have_the_asked_size(prepare: Prepare) -> None:
    dataset = prepare("blobs", blobs={"samples": 900, "features": 7, "classes": 5, "informative": 5})
    splits = [dataset.split("train"), dataset.split("validation"), open_test(dataset)]
    assert sum(len(split) for split in splits) == 900
    assert dataset.input_shape == (7,)
    assert dataset.classes == tuple("01234")


def test_the_seed_of_blobs_is_theirs_alone(prepare: Prepare) -> None:
    size = {"samples": 900, "features": 7, "classes": 5, "informative": 5}
    inputs = [prepare("blobs", blobs={**size, "seed": seed}).split("train").inputs for seed in (0, 1)]
    assert not np.array_equal(inputs[0], inputs[1])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"features": 5, "informative": 9},
            r"blobs.informative: must be at most blobs.features \(5\), but got 9",
        ),
        (
            {"classes": 20, "informative": 4},
            "blobs.informative: must be at least 6 for 20 classes, but got 4",
        ),
    ],
)
def test_impossible_blobs_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DataConfig(source="blobs", blobs=options)


def test_options_of_a_wrong_type_are_refused() -> None:
    with pytest.raises((BrokenRule, ValidationError)):
        DataConfig(source="blobs", blobs={"samples": "many"})


def test_more_classes_than_samples_for_them_are_refused() -> None:
    with pytest.raises(DataError, match=r"blobs: class '\d+' has only \d distinct samples?, but "):
        build(DataConfig(source="blobs", blobs={"samples": 45, "classes": 20}))


# Letter


def letter_rows(count: int = 780) -> list[str]:
    rng = np.random.default_rng(0)
    return [",".join([chr(65 + i % 26), *map(str, rng.integers(0, 16, 16))]) for i in range(count)]


@pytest.mark.parametrize("header", ["", ",".join([letter.LABEL, *letter.FEATURES]) + "\n"])
def test_letter_is_read_from_csv_with_and_without_a_header(
    prepare: Prepare, save_text: Callable[..., Path], header: str
) -> None:
    dataset = prepare("letter", save_text(header + "\n".join(letter_rows())))
    assert dataset.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert dataset.input_shape == (16,)
    assert dataset.encoder is not None
    assert dataset.encoder["columns"] == list(letter.FEATURES)


def test_the_label_of_letter_may_stand_last_if_it_is_named(prepare: Prepare, save_text: Callable[..., Path]) -> None:
    rows = [",".join([*row.split(",")[1:], row.split(",")[0]]) for row in letter_rows()]
    dataset = prepare("letter", save_text(",".join([*letter.FEATURES, letter.LABEL]) + "\n" + "\n".join(rows)))
    assert len(dataset.classes) == 26


def test_letter_with_another_number_of_features_is_refused(save_text: Callable[..., Path]) -> None:
    with pytest.raises(DataError, match="Letter has 16 features, but this file has 1"):
        build(DataConfig(source="letter", path=str(save_text("lettr,x\nA,1\nB,2\n"))))


def test_letter_that_is_nowhere_says_how_to_get_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(letter, "PLACES", ())
    with pytest.raises(DataError, match=r"apt-get install r-cran-mlbench`, `make data`"):
        build(DataConfig(source="letter"))


def test_letter_without_rdata_says_what_to_install(monkeypatch: Any, tmp_path: Path) -> None:
    (tmp_path / "a.rda").write_bytes(gzip.compress(b"RDX3\n"))
    monkeypatch.setitem(sys.modules, "rdata", None)
    with pytest.raises(DataError, match=r"pip install rdata"):
        build(DataConfig(source="letter", path=str(tmp_path / "a.rda")))


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n", gzip.compress(b"RDX3\nX\n"), gzip.compress(b"no R")[:-4]],
    ids=["another kind", "damaged", "cut off"],  # gzip's bytes contain the time
)
def test_a_bad_rda_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("rdata")
    (tmp_path / "a.rda").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.rda: is no \.rda file, or a truncated one") as caught:
        build(DataConfig(source="letter", path=str(tmp_path / "a.rda")))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(LETTER is None, reason="UCI Letter is not here (make data)")
def test_the_real_letter_is_whole(prepare: Prepare) -> None:
    dataset = prepare("letter", LETTER)
    splits = [dataset.split("train"), dataset.split("validation"), open_test(dataset)]
    assert sum(len(split) for split in splits) == 20_000
    assert len(dataset.classes) == 26
    assert dataset.input_shape == (16,)
    assert "1,332 exact duplicates kept on one side" in dataset.notes


# Fashion-MNIST


@pytest.fixture
def small_fashion(tmp_path: Path) -> Path:
    """A folder like Fashion-MNIST's: plain files, 60 training and 20 test images of 6 x 5."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "fashion"
    folder.mkdir()
    for images, labels, rows in ((0, 1, 60), (2, 3, 20)):
        pixels = rng.integers(0, 256, (rows, 6, 5), dtype=np.uint8)
        (folder / fashion_mnist.FILES[images]).write_bytes(idx(pixels))
        (folder / fashion_mnist.FILES[labels]).write_bytes(idx((np.arange(rows) % 10).astype(np.uint8)))
    return folder


def test_gzipped_and_plain_files_give_the_same_data(prepare: Prepare, small_fashion: Path) -> None:
    plain = prepare("fashion_mnist", small_fashion)
    zipped_folder = small_fashion.parent / "zipped"
    zipped_folder.mkdir()
    for name in fashion_mnist.FILES:
        (zipped_folder / f"{name}.gz").write_bytes(gzip.compress((small_fashion / name).read_bytes()))
    zipped = prepare("fashion_mnist", zipped_folder)
    for one, other in ((plain.split("train"), zipped.split("train")), (open_test(plain), open_test(zipped))):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.labels, other.labels)
    assert list(open_test(plain).index) == list(range(60, 80))


def cut(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: p.unlink(), "has no train-images-idx3-ubyte or train-images-idx3-ubyte.gz; get"),
        (lambda p: p.write_bytes(b""), "is empty"),
        (lambda p: cut(p, 10), "is truncated: its header of 16 bytes ends after 10; get it again"),
        (lambda p: (p.unlink(), p.mkdir()), "is a folder, but must be an IDX file"),
        (lambda p: p.write_bytes(gzip.compress(b"no images")), "is a gzip file with something else inside; is it the"),
        (lambda p: p.write_bytes(idx(np.zeros((60, 0, 5), np.uint8))), "images of different sizes"),
        (
            lambda p: cut(p, 500),
            r"truncated or damaged: its header promises 60 items \(1,800 bytes\), but 484",
        ),
        (lambda p: p.write_bytes(gzip.compress(p.read_bytes())[:-20]), "is truncated or damaged"),
        (lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n"), "must be an IDX file of bytes, but is a PNG file"),
        (
            lambda p: p.write_bytes(idx(np.zeros(60, np.uint8))),
            "must have 3 dimensions, but its header says 1",
        ),
        (lambda p: p.write_bytes(idx(np.zeros((59, 6, 5), np.uint8))), "has 59 images, but .* 60 labels"),
        (lambda p: p.write_bytes(idx(np.zeros((60, 7, 5), np.uint8))), "images of different sizes"),
    ],
)
def test_harmed_idx_files_are_refused_in_one_line(small_fashion: Path, harm: Callable[[Path], Any], said: str) -> None:
    harm(small_fashion / fashion_mnist.FILES[0])
    with pytest.raises(DataError, match=said) as caught:
        build(DataConfig(source="fashion_mnist", path=str(small_fashion)))
    assert "\n" not in str(caught.value)


def test_a_test_split_without_images_is_not_taken_for_none(small_fashion: Path) -> None:
    for name, shape in zip(fashion_mnist.FILES[2:], ((0, 6, 5), (0,)), strict=True):
        (small_fashion / name).write_bytes(idx(np.zeros(shape, np.uint8)))
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte: has no images; get it and .* again"):
        build(DataConfig(source="fashion_mnist", path=str(small_fashion)))


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere: no such folder; data\.path must name the folder"):
        build(DataConfig(source="fashion_mnist", path=str(tmp_path / "nowhere")))


def test_a_download_that_was_broken_off_hides_no_other_place_and_is_gone_on_with(
    monkeypatch: Any, small_fashion: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    shutil.copy(small_fashion / fashion_mnist.FILES[0], broken)
    monkeypatch.setattr(fashion_mnist, "PLACES", (str(broken), str(small_fashion)))
    assert {path.parent for path in fashion_mnist.find_files(None)} == {small_fashion}
    monkeypatch.setattr(fashion_mnist, "PLACES", (str(broken),))
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(DataError, match="Fashion-MNIST is not on this machine"):
        fashion_mnist.find_files(None)


def test_fashion_mnist_that_is_nowhere_says_how_to_get_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(fashion_mnist, "PLACES", ())
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(
        DataError, match=r"apt-get install dataset-fashion-mnist`, `make data`, .*pip install torchvision"
    ):
        build(DataConfig(source="fashion_mnist"))


@pytest.mark.skipif(not DEBIAN_FASHION.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_debians_fashion_mnist_is_whole(prepare: Prepare) -> None:
    dataset = prepare("fashion_mnist", DEBIAN_FASHION, validation=0.1)
    train, validation, test = dataset.split("train"), dataset.split("validation"), open_test(dataset)
    assert (len(train) + len(validation), len(test)) == (60_000, 10_000)
    assert dataset.input_shape == (1, 28, 28)
    assert list(np.bincount(test.labels)) == [1000] * 10
    pixels = np.concatenate([train.inputs, validation.inputs])
    assert round(float(pixels.mean()), 2) == 72.94  # 0.2860 * 255, the usual published value
