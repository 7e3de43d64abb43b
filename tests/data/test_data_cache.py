"""The prepared data set: what is in it, that it is mapped and not copied, and when it is rebuilt."""

import gc
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distill_tune.arrays import map_buffer, read_arrays
from distill_tune.config.sections import DataConfig
from distill_tune.data import Dataset, open_dataset, prepare_data
from distill_tune.data.build import build
from distill_tune.data.dataset import open_test
from distill_tune.data.encoder import TableEncoder
from distill_tune.errors import CacheError, DataError

Prepare = Callable[..., Dataset]
SaveNpz = Callable[..., Path]
FILES = ("train.arrow", "validation.arrow", "test.arrow", "data.json")


def written(dataset: Dataset) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in dataset.folder.iterdir()}


def test_digits_are_images_of_one_channel(prepare: Prepare) -> None:
    dataset = prepare("digits")
    train, validation, test = dataset.split("train"), dataset.split("validation"), open_test(dataset)
    assert dataset.is_image
    assert dataset.input_shape == (1, 8, 8)
    assert dataset.classes == tuple("0123456789")
    assert len(train) + len(validation) + len(test) == 1797
    assert train.inputs.dtype == np.uint8
    assert train.inputs.max() == 16


def test_rows_are_those_of_the_source(prepare: Prepare) -> None:
    from sklearn.datasets import load_digits

    dataset, digits = prepare("digits"), load_digits()
    for split in (dataset.split("train"), dataset.split("validation"), open_test(dataset)):
        np.testing.assert_array_equal(split.inputs[:, 0], digits.images[split.index])
        np.testing.assert_array_equal(split.labels, digits.target[split.index])


def test_mean_and_deviation_are_of_the_training_split(prepare: Prepare, save_npz: SaveNpz) -> None:
    images = np.random.default_rng(0).integers(0, 256, (90, 3, 5, 4), dtype=np.uint8)
    dataset = prepare("npz", save_npz(inputs=images, labels=np.arange(90) % 3))
    pixels = dataset.split("train").inputs.astype(np.float64)
    np.testing.assert_allclose(dataset.mean, pixels.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(dataset.std, pixels.std(axis=(0, 2, 3)))


def test_a_constant_channel_has_a_deviation_of_one(prepare: Prepare, save_npz: SaveNpz) -> None:
    images = np.random.default_rng(0).integers(0, 256, (90, 3, 5, 4), dtype=np.uint8)
    images[:, 1] = 7
    dataset = prepare("npz", save_npz(inputs=images, labels=np.arange(90) % 3))
    assert (dataset.mean[1], dataset.std[1]) == (7.0, 1.0)


def test_encoder_statistics_come_from_training_rows_only(prepare: Prepare, save_npz: SaveNpz) -> None:
    path = save_npz()
    dataset = prepare("npz", path)
    assert dataset.encoder is not None
    raw, train = np.load(path)["inputs"].astype(np.float64), dataset.split("train")
    numbers = TableEncoder.from_dict(dataset.encoder).numbers
    np.testing.assert_allclose([n.mean for n in numbers], raw[train.index].mean(axis=0))
    np.testing.assert_allclose([n.std for n in numbers], raw[train.index].std(axis=0))
    for split in (train, dataset.split("validation"), open_test(dataset)):
        expected = (raw[split.index] - raw[train.index].mean(axis=0)) / raw[train.index].std(axis=0)
        np.testing.assert_allclose(split.inputs, expected, rtol=1e-5, atol=1e-6)
    assert (dataset.mean, dataset.std) == ((), ())


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists its mappings there")
@pytest.mark.parametrize("source", ["digits", "blobs"])
def test_splits_are_views_on_the_mapped_file(prepare: Prepare, source: str) -> None:
    path = prepare(source).folder / "train.arrow"
    buffer = map_buffer(path)
    assert path.stat().st_size == buffer.size
    for name, array in read_arrays(path).items():
        mapped = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line]
        ranges = [[int(end, 16) for end in line[0].split("-")] for line in mapped]
        start = array.__array_interface__["data"][0]
        assert any(low <= start and start + array.nbytes <= high for low, high in ranges), name
        assert not array.flags.writeable, name
        assert array.flags.c_contiguous, name


def test_the_file_is_a_tensor_column_to_other_tools(prepare: Prepare) -> None:
    import pyarrow as pa

    dataset = prepare("digits")
    with pa.memory_map(str(dataset.folder / "train.arrow")) as file:
        reader = pa.ipc.open_file(file)
        assert reader.num_record_batches == 1
        tensor = reader.get_batch(0).column("inputs")
    assert tensor.type == pa.fixed_shape_tensor(pa.uint8(), [1, 8, 8])
    np.testing.assert_array_equal(tensor.to_numpy_ndarray(), dataset.split("train").inputs)


def test_views_outlive_everything_that_opened_them(prepare: Prepare) -> None:
    inputs = prepare("digits").split("train").inputs
    gc.collect()
    assert inputs.sum() > 0


def test_only_open_test_leads_to_the_test_split(prepare: Prepare) -> None:
    name: Any = "test"
    with pytest.raises(ValueError, match="test is opened by open_test"):
        prepare("digits").split(name)


def test_open_dataset_gives_what_prepare_gave(prepare: Prepare) -> None:
    for dataset in (prepare("digits"), prepare("blobs")):
        assert open_dataset(dataset.folder) == dataset


def test_an_unchanged_cache_is_used_again(prepare: Prepare) -> None:
    first = prepare("digits")
    before = written(first)
    assert prepare("digits") == first
    assert written(first) == before


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_noticed_rebuilt_and_said(prepare: Prepare, name: str) -> None:
    first = prepare("digits")
    path = first.folder / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :])
    again = prepare("digits")
    assert path.read_bytes() == whole
    assert any("damaged" in note and name in note for note in again.notes)
    assert prepare("digits").notes == first.notes


@pytest.mark.parametrize("name", FILES)
def test_a_lost_file_is_built_again(prepare: Prepare, name: str) -> None:
    path = prepare("digits").folder / name
    path.unlink()
    prepare("digits")
    assert path.exists()


def test_nothing_but_the_data_set_is_left_in_the_cache(prepare: Prepare, cache: Path) -> None:
    dataset = prepare("digits")
    (dataset.folder / "train.arrow").write_bytes(b"")
    prepare("digits")
    assert list(cache.iterdir()) == [dataset.folder]
    assert sorted(written(dataset)) == sorted(FILES)


def test_a_whole_cache_of_another_process_is_taken(prepare: Prepare, cache: Path, monkeypatch: Any) -> None:
    """Another process finishes while this one builds: both end with the same folder."""
    from distill_tune.data import build as module

    dataset = prepare("digits")
    aside = cache.parent / "aside"
    dataset.folder.rename(aside)
    build = module.build

    def slow_build(config: DataConfig, fold: int | None) -> module.Built:
        built = build(config, fold)
        shutil.copytree(aside, dataset.folder)
        return built

    monkeypatch.setattr(module, "build", slow_build)
    assert prepare("digits") == dataset


def test_student_samples_are_marked_in_training_only(prepare: Prepare) -> None:
    dataset = prepare("digits", student_samples=100, rest="unlabelled")
    assert dataset.split("train").labelled.sum() == 100
    assert dataset.split("validation").labelled.all()
    assert open_test(dataset).labelled.all()
    assert dataset.rest == "unlabelled"


def test_student_samples_do_not_move_the_splits(prepare: Prepare) -> None:
    few, all_of_them = prepare("digits", student_samples=100), prepare("digits")
    np.testing.assert_array_equal(few.split("train").index, all_of_them.split("train").index)
    np.testing.assert_array_equal(open_test(few).index, open_test(all_of_them).index)


def test_refused_data_leave_nothing_behind(cache: Path) -> None:
    with pytest.raises(DataError, match="student_samples"):
        prepare_data(DataConfig(source="digits", student_samples=5000), cache)
    assert not cache.exists()


def test_what_is_built_is_refused_or_described_and_nothing_is_written(tmp_path: Path, save_npz: SaveNpz) -> None:
    path = save_npz(inputs=np.repeat(np.arange(30), 2)[:, None])
    before = set(tmp_path.iterdir())
    assert build(DataConfig(source="npz", path=str(path))).notes == (
        "30 exact duplicates kept on one side",
        "30 distinct inputs appear with more than one label",
    )
    with pytest.raises(DataError, match="student_samples"):
        build(DataConfig(source="npz", path=str(path), student_samples=5000))
    assert set(tmp_path.iterdir()) == before


def test_a_worker_is_told_of_a_missing_cache(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"data\.json is missing or damaged"):
        open_dataset(tmp_path)


def test_a_damaged_split_is_an_error_and_no_crash(prepare: Prepare) -> None:
    dataset = prepare("digits")
    (dataset.folder / "train.arrow").write_bytes(b"ARROW1 and then nothing")
    with pytest.raises(CacheError, match=r"train\.arrow: is missing or damaged"):
        dataset.split("train")
