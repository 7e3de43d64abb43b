"""The teacher's features in its cache: their precision, size and location, and when they are rebuilt."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import IMAGE, hooks_of
from small_trainings import Make, Ready

from distill_tune.arrays import read_arrays, write_arrays
from distill_tune.config import Config
from distill_tune.distillation.cache.features import (
    ANATOMY,
    TeacherFeatures,
    feature_bytes,
    features_folder,
)
from distill_tune.distillation.features.anatomy import Anatomy, anatomy_of
from distill_tune.distillation.features.tap import Tap, run_tapped
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.feature_checks import teacher_layers
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError, TeacherError


@pytest.fixture
def cached(image_space: Make, ready: Ready) -> tuple[Config, Any, list[str]]:
    """A run that compares features in three views."""
    space = image_space(
        loss={"kind": "attention", "also": {"hint": 1.0, "pkt": 0.1}},
        teacher={"views": 3},
        augmentation={"shift": 1},
    )
    config, preparation = ready(space)
    assert preparation.teacher.module is not None
    layers = teacher_layers(space, preparation.dataset, anatomy_of(preparation.teacher.module, IMAGE))
    return config, preparation, layers


def test_cached_features_are_the_teachers_to_half_precision(cached: tuple[Config, Any, list[str]]) -> None:
    config, preparation, layers = cached
    materials = Materials.open(preparation.prepared, config)
    features = TeacherFeatures(preparation.prepared.teacher_folder, config, layers)
    index, teacher = torch.tensor([5, 0, 700]), preparation.teacher.module
    tap = Tap(teacher, layers)
    for view in range(3):
        _, live = run_tapped(tap, teacher, materials.views.take(index, view).inputs)
        for one, other in zip(features.at(view, index), live, strict=True):
            assert one.dtype == torch.float32
            torch.testing.assert_close(one, other, rtol=2**-11, atol=1e-6)
    tap.close()
    assert not hooks_of(teacher)


def test_the_bytes_of_the_cache_are_known_before_it_is_made(cached: tuple[Config, Any, list[str]]) -> None:
    config, preparation, layers = cached
    folder = preparation.prepared.teacher_folder
    known = feature_bytes(Anatomy.read(folder / ANATOMY), layers, preparation.dataset.num_rows["train"], 3)
    files = [path for layer in layers for path in features_folder(folder, config, layer).glob("*.arrow")]
    assert len(files) == 3 * len(layers)
    whole = sum(path.stat().st_size for path in files)
    assert known < whole < known + 5000 * len(files)  # the overhead of Arrow


def test_features_that_the_disk_has_no_room_for_are_refused_before_any_is_made(
    image_space: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = image_space(loss={"kind": "hint"})
    told: list[str] = []
    prepare(space, tmp_path / "first", told.append)
    assert "the teacher's features (5): 1,150 samples, 589 kB" in told  # 16 x 4 x 4 numbers of two bytes, in one view
    monkeypatch.setattr("distill_tune.room.free_bytes", lambda folder: 400_000)
    with pytest.raises(ConfigError, match=r"589 kB are needed for the teacher's features \(5\), but .* teacher.mode"):
        prepare(space, tmp_path / "second", told.append)
    assert not list((tmp_path / "second").rglob("features-*"))


def test_each_layer_and_each_augmentation_has_a_folder_of_its_own(
    cached: tuple[Config, Any, list[str]], image_space: Make
) -> None:
    config, preparation, layers = cached
    folder = preparation.prepared.teacher_folder
    others = [config, image_space(teacher={"views": 3}).config, image_space(teacher={"views": 2}).config]
    others.append(image_space(teacher={"views": 2}, augmentation={"shift": 2}).config)
    folders = {features_folder(folder, each, layer) for each in others for layer in layers}
    assert len(folders) == 3 * len(layers)  # without augmentation, all views are the same
    alike = image_space(loss={"kind": "hint"}, teacher={"views": 3}, augmentation={"shift": 1}).config
    assert features_folder(folder, alike, layers[0]) == features_folder(folder, config, layers[0]), "whatever the loss"


def test_damaged_features_are_made_again_and_whole_ones_kept(image_space: Make, tmp_path: Path) -> None:
    space = image_space(loss={"kind": "hint"})
    folder = prepare(space, tmp_path, lambda line: None).prepared.teacher_folder
    assert folder is not None
    (features,) = folder.glob("features-*")
    told: list[str] = []
    prepare(space, tmp_path, told.append)
    assert not any("features of" in line for line in told)
    damaged = features / "view_00000.arrow"
    before, whole = {name: array.copy() for name, array in read_arrays(damaged).items()}, damaged.read_bytes()
    damaged.write_bytes(whole[:-100] + bytes(100))
    prepare(space, tmp_path, told.append)
    assert any("features of" in line for line in told)
    for name, array in read_arrays(damaged).items():  # memory layout changes the order of a sum, and so its last bit
        np.testing.assert_allclose(array, before[name], rtol=2**-9, atol=2**-9)


def test_a_number_too_large_for_half_precision_is_kept_in_full(tmp_path: Path) -> None:
    from distill_tune.distillation.cache.features import _stored

    assert _stored(torch.tensor([[1.0, 65504.0]])).dtype == np.float16
    assert _stored(torch.tensor([[1.0, 70000.0]])).tolist() == [[1.0, 70000.0]]
    with pytest.raises(TeacherError, match="one of its features is not a finite number"):
        _stored(torch.tensor([[1.0, float("nan")]]))
    write_arrays(tmp_path / "half.arrow", {"features": np.float16([[1.5, 2.0]])})
    assert read_arrays(tmp_path / "half.arrow")["features"].dtype == np.float16
