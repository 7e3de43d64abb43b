"""Trainings of every kind on a GPU: all on one device, the same numbers as on a CPU, and no step waits for it.

The GPU is a pretended one (`pretended_gpu.py`).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from every_feature_loss import EVERYTHING
from pretended_gpu import pretended_gpu
from runs import IMAGES, TABLE, run_space
from small_trainings import Ready, Report, saved_and_read, untimed

from distill_tune.config import Config
from distill_tune.distillation.cache import seen
from distill_tune.distillation.materials import batches
from distill_tune.distillation.materials.materials import Materials, _corrupted
from distill_tune.distillation.training.folds import Progress, train_students
from distill_tune.distillation.training.run import Run
from distill_tune.registry import AUGMENTATIONS, INITIALISATIONS, LOSSES, OPTIMIZERS, STUDENTS

Sections = dict[str, Any]
FEW: Sections = {"student_samples": 0.3, "rest": "unlabelled"}
ON_TABLES: dict[str, float] = {"mixup": 0.3, "noise": 0.1, "swap": 0.1}
ON_IMAGES: dict[str, float] = {
    **{"mixup": 0.3, "cutmix": 0.5, "flip": 0.5, "shift": 1, "rotation": 20, "crop": 0.7, "cutout": 2, "color": 0.3}
}
RESNET: Sections = {"family": "resnet", "resnet": {"width": 8, "depth": 1}}
LAST: Sections = {"precision": "bfloat16", "memory_format": "channels_last"}
TABLES: dict[str, Sections] = {
    **{name: {"loss": {"kind": name}} for name in LOSSES.names if name != "attention"},
    "schedules": {
        "loss": {"temperature": 1.0, "temperature_end": 4.0, "soft_weight": 0.2, "soft_weight_end": 0.9},
        "optim": {"schedule": "one_cycle", "kind": "sgd", "label_smoothing": 0.1},
    },
    "also": {"loss": {"kind": "soft_targets", "also": {"dkd": 0.5, "rkd": 0.1}}},
    "a memory": {"loss": {"kind": "crd", "crd": {"negatives": 64}}},
    "steps of several batches": {"optim": {"accumulate": 2, "gradient_clip": 0.5}, "augmentation": {"mixup": 0.3}},
    "a limit of the norm": {"regularization": {"norm_ratio": 0.8}, "optim": {"gradient_clip": 0.5}},
    "rows without a label": {"data": {**FEW, "passes": 2}, "augmentation": ON_TABLES},
    "labels alone of some rows": {"data": FEW, "loss": {"kind": "labels"}},
    "a live teacher": {"teacher": {"mode": "live"}, "augmentation": ON_TABLES},
    "a few logits": {"teacher": {"keep": 2}},
    "dropout": {"student": {"family": "resnet", "resnet": {"width": 8, "depth": 1, "dropout": 0.1}}},
    "worsened rows": {"search": {"objectives": ["val/corrupted_accuracy"], "max_epochs": 2}},
    "folds": {"data": {"folds": 3}},
}
PICTURES: dict[str, Sections] = {
    "features": {"loss": EVERYTHING, "optim": {"kind": "sgd", "gradient_clip": 1.0}},
    "features of bfloat16, channels last": {"loss": EVERYTHING, "optim": LAST, "student": RESNET},
    "features of a live teacher": {"loss": EVERYTHING, "teacher": {"mode": "live"}},
    "every augmentation": {"augmentation": ON_IMAGES, "data": FEW, "optim": {"accumulate": 2}},
    "labels alone of some pictures": {"data": FEW, "loss": {"kind": "labels"}, "augmentation": {"mixup": 0.3}},
    "worsened pictures": {"search": {"objectives": ["val/corrupted_accuracy"], "max_epochs": 2}},
    **{
        f"{init}, {family}": {
            "student": {"family": family, "init": init, family: {"width": 4, "depth": depth}},
            "teacher": {"family": family, family: {"width": 4, "depth": depth + 1}, "train": {"epochs": 2}},
        }
        for init in INITIALISATIONS.names
        for family, depth in (("convnet", 2), ("resnet", 1))
    },
}


def run_of(ready: Ready, base: Sections, sections: Sections, batch_size: int = 128) -> tuple[Config, Any]:
    optim = {"precision": "float32", "batch_size": batch_size, **sections.get("optim", {})}
    whole = {name: {**base.get(name, {}), **own} for name, own in {**sections, "optim": optim}.items()}
    return ready(run_space(base, **whole))


def trained(run: tuple[Config, Any], device: str) -> Progress:
    config, preparation = run
    *_, last = train_students(config, preparation.prepared, 0, device, refit=True)
    return last


def told(progress: Progress) -> tuple[Report, dict[str, torch.Tensor]]:
    """The report without times, and the weights on the CPU."""
    weights = {name: each.cpu() for name, each in progress.students.student.state_dict().items()}
    return untimed(progress.report), weights


def check_same(run: tuple[Config, Any], free_bytes: int) -> None:
    report, weights = told(trained(run, "cpu"))
    with pretended_gpu(free_bytes):
        progress = trained(run, "cuda")
        assert {each.device.type for each in progress.students.student.state_dict().values()} == {"cuda"}
        own_report, own_weights = told(progress)
    assert own_report == report
    assert own_weights.keys() == weights.keys()
    assert all(torch.equal(own_weights[name], each) for name, each in weights.items())


def waits_of(run: tuple[Config, Any], free_bytes: int) -> dict[str, int]:
    """How often the first epoch of a training waits for the GPU, by cause."""
    config, preparation = run
    with pretended_gpu(free_bytes) as waits:
        training = Run(config, Materials.open(preparation.prepared, config, "cuda"), 0, torch.device("cuda"))
        waits.clear()
        training.next_epoch()
        training.close()
    return dict(waits)


@pytest.fixture
def a_chunk_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step per chunk, as if samples were large."""
    monkeypatch.setattr(batches, "_CHUNK_SAMPLES", 1)


def test_every_part_is_tried_on_it() -> None:
    """Only this package's own parts."""
    assert {*ON_TABLES, *ON_IMAGES} == set(AUGMENTATIONS.names)
    assert {*TABLES, EVERYTHING["kind"]} >= set(LOSSES.names)
    assert {"sgd", "adamw"} == set(OPTIMIZERS.names)
    assert {"mlp", "convnet", "resnet"} == set(STUDENTS.names)


@pytest.mark.parametrize("name", TABLES)
def test_rows_train_on_a_gpu_to_the_numbers_of_a_cpu(name: str, ready: Ready) -> None:
    check_same(run_of(ready, TABLE, TABLES[name]), 1 << 33)


@pytest.mark.parametrize(("number", "name"), list(enumerate(PICTURES)))
def test_pictures_train_on_a_gpu_to_the_numbers_of_a_cpu_wherever_they_are(
    number: int, name: str, ready: Ready
) -> None:
    """Every second case keeps them on the GPU; the others have no room for them there."""
    check_same(run_of(ready, IMAGES, PICTURES[name]), (number % 2) << 33)


@pytest.mark.parametrize("free_bytes", [0, 1 << 33], ids=["no room", "room"])
@pytest.mark.parametrize(
    "name", ["features", "features of a live teacher", "every augmentation", "labels alone of some pictures"]
)
@pytest.mark.usefixtures("a_chunk_a_step")
def test_no_step_on_pictures_waits_for_the_gpu(name: str, free_bytes: int, ready: Ready) -> None:
    few, many = (waits_of(run_of(ready, IMAGES, PICTURES[name], size), free_bytes) for size in (512, 256))
    assert few == many


@pytest.mark.parametrize("name", [name for name in TABLES if name != "folds"])
@pytest.mark.usefixtures("a_chunk_a_step")
def test_no_step_on_rows_waits_for_the_gpu(name: str, ready: Ready) -> None:
    few, many = (waits_of(run_of(ready, TABLE, TABLES[name], size), 1 << 33) for size in (128, 64))
    assert few == many


@pytest.mark.parametrize("keep", ["all", 2])
def test_what_is_too_large_for_a_gpu_is_read_from_its_files(
    keep: Any, ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen, "ON_DEVICE_BYTES", 0)
    run = run_of(ready, IMAGES, {"loss": EVERYTHING, "teacher": {"keep": keep}})
    with pretended_gpu():
        teacher = Materials.open(run[1].prepared, run[0], "cuda").teacher
        assert teacher is not None
        assert teacher.logits(0).device.type == "cpu"
    check_same(run, 0)


@pytest.mark.parametrize(("free_bytes", "where"), [(0, "cpu"), (1 << 33, "cuda")])
def test_pictures_are_on_a_gpu_only_where_it_has_room(free_bytes: int, where: str, ready: Ready) -> None:
    run = run_of(ready, IMAGES, PICTURES["worsened pictures"])
    _corrupted.cache_clear()
    with pretended_gpu(free_bytes):
        materials = Materials.open(run[1].prepared, run[0], "cuda")
        assert materials.corrupted is not None
        assert {each.device.type for each in (materials.train_inputs, materials.corrupted[0])} == {where}
        assert {each.device.type for each in (materials.labels, materials.corrupted[1])} == {"cuda"}


def test_a_training_goes_on_from_a_checkpoint_of_another_device(ready: Ready, tmp_path: Path) -> None:
    run = run_of(ready, IMAGES, {"loss": EVERYTHING})

    def epochs_of(device: str, resume: Any = None) -> Iterator[Progress]:
        return train_students(run[0], run[1].prepared, 0, device, resume)

    *_, last = epochs_of("cpu")
    with pretended_gpu():
        checkpoint = saved_and_read(next(epochs_of("cuda")).checkpoint())
        (again,) = epochs_of("cuda", checkpoint)
        assert told(again)[0] == told(last)[0]
    (here,) = epochs_of("cpu", checkpoint)
    assert told(here)[0] == told(last)[0]
