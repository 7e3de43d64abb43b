"""A teacher's outputs on a pretended GPU (`pretended_gpu.py`), and on which device its inputs are made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pretended_gpu import pretended_gpu
from runs import IMAGES, run_space
from torch import Tensor

from distill_tune.arrays import read_arrays
from distill_tune.config.sections import AugmentationConfig
from distill_tune.distillation.augmentation import Draw, Transform
from distill_tune.distillation.augmentation.cutout import Cutout
from distill_tune.distillation.cache import features, labelling
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.views import Views
from distill_tune.teachers import Say

GPU = torch.device("cuda")


class Mine(Transform):
    """A custom transform."""

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs


def said(folder: Path, gpus: int, say: Say = lambda line: None) -> dict[str, Any]:
    """A teacher's logits and features for two views, by file."""
    keys: dict[str, Any] = {
        "resources": {"gpus_per_worker": gpus},
        "teacher": {**IMAGES["teacher"], "views": 2, "train": {"epochs": 1, "precision": "float32"}},
        "augmentation": {"mixup": 0.3, "cutout": 2, "rotation": 20, "crop": 0.7, "color": 0.3},
        "loss": {"kind": "hint"},
    }
    teacher = prepare(run_space(IMAGES, **keys), folder, say).prepared.teacher_folder
    assert teacher is not None
    return {str(path.relative_to(teacher)): read_arrays(path) for path in teacher.rglob("*.arrow")}


def test_pictures_are_augmented_where_the_teacher_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, apply = set[str](), Cutout.apply

    def watched(self: Cutout, inputs: Tensor, draw: Draw) -> Tensor:
        seen.add(inputs.device.type)
        return apply(self, inputs, draw)

    here = said(tmp_path / "here", 0)
    monkeypatch.setattr(Cutout, "apply", watched)
    with pretended_gpu():
        there = said(tmp_path / "there", 1)
    assert seen == {"cuda"}
    assert here.keys() == there.keys()
    assert len(here) == 4  # logits of two splits, and features of two views
    for name, columns in here.items():
        assert all(np.array_equal(there[name][column], numbers) for column, numbers in columns.items())


@pytest.mark.parametrize(
    ("shape", "amounts", "where"),
    [
        ((1, 4, 4), {"flip": 0.5}, "cuda"),
        ((1, 4, 4), {}, "cuda"),
        ((1, 4, 4), {"test_labelling_on_a_gpu:Mine": 0.5}, "cpu"),
        ((4,), {"swap": 0.5}, "cpu"),
    ],
    ids=["pictures", "as they are", "by a transform of one's own", "rows"],
)
def test_what_may_look_at_all_samples_is_made_where_they_are(
    shape: tuple[int, ...], amounts: dict[str, float], where: str
) -> None:
    views = Views(AugmentationConfig(**amounts), torch.zeros(3, *shape, dtype=torch.uint8), (), 0)
    assert views.place_for(GPU).type == where
    assert views.place_for(torch.device("cpu")).type == "cpu"


def short_beyond(most: int, called: Callable[..., Any]) -> Callable[..., Any]:
    """`called`, for whose last argument a GPU has no memory if it has more than so many samples."""

    def made(*arguments: Any) -> Any:
        module, inputs = arguments[-2:]
        if next(module.parameters()).is_cuda and len(inputs) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return called(*arguments)

    return made


@pytest.mark.parametrize(("most", "labels_on_the_cpu"), [(100, False), (0, True)])
def test_a_gpu_that_is_short_of_memory_labels_in_parts_and_else_the_cpu_does_which_is_told(
    most: int, labels_on_the_cpu: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, told = said(tmp_path / "here", 0), list[str]()
    for module, name in ((labelling, "logits_of"), (features, "run_tapped")):
        monkeypatch.setattr(module, name, short_beyond(most, getattr(module, name)))
    with pretended_gpu():
        there = said(tmp_path / "there", 1, told.append)
    assert [line for line in told if "CPU" in line] == [
        "the GPU has no memory left for the teacher (other programs may use it); it labels on the CPU"
    ] * labels_on_the_cpu
    assert here.keys() == there.keys()
    for name, columns in here.items():
        assert all(np.array_equal(there[name][column], numbers) for column, numbers in columns.items())
