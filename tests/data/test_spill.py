"""Images that need not fit into memory: in unnamed files while being built, and mapped afterwards."""

import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from distill_tune.config.sections import DataConfig
from distill_tune.data import prepare_data, spill
from distill_tune.data.build import build
from distill_tune.data.dataset import open_test
from distill_tune.data.inputs import read_inputs
from distill_tune.data.raw import RawImages
from distill_tune.errors import DataError


@pytest.fixture
def photos(tmp_path: Path) -> DataConfig:
    """Sixty pictures of two classes."""
    rng = np.random.default_rng(0)
    for number in range(60):
        place = tmp_path / "photos" / f"class_{number % 2}" / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)).save(place)
    return DataConfig(source="image_folder", path=str(tmp_path / "photos"))


def test_large_data_are_the_same_as_small_ones_and_leave_no_file_behind(
    photos: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = prepare_data(photos, tmp_path / "small")
    monkeypatch.setattr(spill, "_LARGE_BYTES", 1)
    monkeypatch.setattr(spill, "_CHUNK_BYTES", 1000)
    assert all(isinstance(arrays["inputs"], np.memmap) for arrays in build(photos).splits.values())
    large = prepare_data(photos, tmp_path / "large")
    assert (large.mean, large.std, large.fingerprint) == (small.mean, small.std, small.fingerprint)
    for one, other in ((small.split(name), large.split(name)) for name in ("train", "validation")):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.index, other.index)
    np.testing.assert_array_equal(open_test(small).inputs, open_test(large).inputs)
    assert sorted(path.name for path in (tmp_path / "large").iterdir()) == [large.folder.name]


def test_large_arrays_are_on_the_disk_of_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "_LARGE_BYTES", 1)
    with spill.spilling_to(tmp_path / "not" / "there" / "yet"):
        made = spill.empty((3, 5), "uint8")
        made[:] = 7
        mapped = [line.split()[-2] for line in Path("/proc/self/maps").read_text().splitlines() if "(deleted)" in line]
    assert any(Path(place).parent == tmp_path for place in mapped)
    assert list(tmp_path.iterdir()) == []
    assert made.sum() == 105


def test_a_disk_without_room_is_refused_before_a_picture_is_decoded(
    photos: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, offset: int, size: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(spill, "_LARGE_BYTES", 1)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        DataError,
        match=r"there is no room for 60 images of 3 x 12 x 10 \(OSError: \[Errno 28\] No.*another --storage\.$",
    ):
        prepare_data(photos, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    Image.new("L", (4, 4)).save(tmp_path / "new.png")
    with pytest.raises(
        DataError, match=r"images of 1 x 4 x 4 \(.*\); give fewer at a time, or set TMPDIR to a folder of"
    ):
        read_inputs(tmp_path / "new.png", None, (1, 4, 4))


def test_images_of_a_mapped_file_whose_channels_come_last_are_told_apart_one_by_one(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r").transpose(0, 3, 1, 2)
    about = {"labels": np.arange(400) % 2, "classes": ("a", "b"), "where": "images.npy"}
    raw = RawImages(inputs=mapped, **about)
    tracemalloc.start()
    hashes = raw.row_hashes()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < images.nbytes / 4
    in_memory = RawImages(inputs=np.ascontiguousarray(images.transpose(0, 3, 1, 2)), **about)
    np.testing.assert_array_equal(hashes, in_memory.row_hashes())
