"""The teacher's features, cached: for every view of every training sample, the layers that losses of the space ask for.

They lie beside the logits (`outputs.py`), a folder a layer, named after the views and the layer, with an Arrow
file a view, mapped by all workers, and checksums. Numbers are float16, off by at most 2^-11 (0.05 %) of each, or 3e-8
where that is more; a view with a number beyond 65,504 is float32. Large maps are averaged down first: see
`features.bounded`. Making them costs one more run of the teacher over the views, for all layers together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from distill_tune.arrays import read_arrays, write_arrays
from distill_tune.atomic import new_folder
from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.outputs import (
    as_tensor,
    at_a_time,
    at_rows,
    number_of_views,
    outputs_are_whole,
    outputs_folder,
    visible_rows,
    write_checksums,
)
from distill_tune.distillation.cache.progress import told
from distill_tune.distillation.features.anatomy import Anatomy
from distill_tune.distillation.features.tap import Tap, bring_down
from distill_tune.distillation.views import Views
from distill_tune.errors import CacheError, TeacherError
from distill_tune.room import check_room, in_bytes
from distill_tune.teachers import LoadedTeacher, Say

ANATOMY = "anatomy.json"
"""In the teacher's folder: what layers it has."""
_FORMAT = 1
"""Raised when files look different, or the same layer is kept in another shape."""
_BYTES = 2
_ON_DEVICE_BYTES = 1 << 30
"""Features of a trial up to this size are copied to its GPU; larger ones are read from the map step by step."""


def feature_bytes(anatomy: Anatomy, layers: Sequence[str], samples: int, views: int) -> int:
    """Bytes that the features of some of a teacher's layers take on disk, for so many samples in so many views."""
    return samples * views * _BYTES * sum(prod(anatomy.kept().shapes[layer]) for layer in layers)


def announce_features(
    teacher_folder: Path,
    variants: Sequence[Config],
    dataset: Dataset,
    anatomy: Anatomy,
    layers: Sequence[str],
    say: Say,
) -> None:
    """Say how large the features are that are still to be made, of all augmentations of a space together.

    Raises:
        ConfigError: the disk has no room for them.
    """
    samples = len(visible_rows(dataset.split("train"), dataset.rest))
    new = {features_folder(teacher_folder, v, layer): (layer, number_of_views(v)) for v in variants for layer in layers}
    missing = [made for folder, made in new.items() if made[1] and not folder.exists()]
    size = sum(feature_bytes(anatomy, [layer], samples, views) for layer, views in missing)
    if missing:
        names = ", ".join(sorted({layer for layer, _ in missing}))
        what = f"the teacher's features ({names})"
        check_room(teacher_folder, size, what, "lower teacher.views, set teacher.mode = 'live', ")
        say(f"{what}: {samples:,} samples, {in_bytes(size)}")


def features_folder(teacher_folder: Path, config: Config, layer: str) -> Path:
    """Where the features of one layer are, for the views of this configuration."""
    what = json.dumps([_FORMAT, outputs_folder(teacher_folder, config).name, layer])
    return teacher_folder / f"features-{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def write_features(
    teacher_folder: Path,
    config: Config,
    dataset: Dataset,
    teacher: LoadedTeacher,
    layers: Sequence[str],
    say: Say,
) -> None:
    """Run the teacher over every view once more and keep what these layers put out; what is there and whole stays.

    Raises:
        TeacherError: a number is not finite.
    """
    folders = {layer: features_folder(teacher_folder, config, layer) for layer in layers}
    missing = [layer for layer in layers if not outputs_are_whole(folders[layer])]
    if not missing or not number_of_views(config):
        return
    train = dataset.split("train")
    rows = visible_rows(train, dataset.rest)
    views = Views(config.augmentation, at_rows(as_tensor(train.inputs), rows), dataset.mean, config.data.seed)
    count = number_of_views(config)
    say(f"teacher shows features of {', '.join(missing)} for {len(rows):,} samples in {count} view{'s' * (count > 1)}")
    with ExitStack() as stack:
        news = {layer: stack.enter_context(new_folder(folders[layer], outputs_are_whole)) for layer in missing}
        for view in told(count, say):
            for layer, array in _features(teacher, views, view, len(rows), missing).items():
                write_arrays(news[layer] / f"view_{view:05d}.arrow", {"features": array})
        for new in news.values():
            write_checksums(new)


def _features(
    teacher: LoadedTeacher, views: Views, view: int, samples: int, layers: Sequence[str]
) -> dict[str, np.ndarray]:
    """Layer to float16 or float32 [samples, *shape] in one view."""
    assert teacher.module is not None
    tap = Tap(teacher.module, layers)
    try:
        found: list[list[np.ndarray]] = [[] for _ in layers]
        for index in torch.arange(samples).split(at_a_time(teacher.module, views.sample_shape)):
            _, features = run_teacher(tap, teacher.module, views.take(index, view).inputs)
            for parts, feature in zip(found, features, strict=True):
                parts.append(_stored(feature))
    finally:
        tap.close()
    return {layer: np.concatenate(parts) for layer, parts in zip(layers, found, strict=True)}


@torch.no_grad()
def run_teacher(tap: Tap, module: torch.nn.Module, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The teacher's logits and features for a batch, float32, as they are compared."""
    device = next(module.parameters(), inputs).device
    logits, features = tap.run(module, inputs.to(device))
    return logits.float(), tuple(bring_down(feature.float()) for feature in features)


def _stored(feature: Tensor) -> np.ndarray:
    if not feature.isfinite().all():
        raise TeacherError("teacher: one of its features is not a finite number; check its weights and inputs.")
    fits = feature.abs().max() <= torch.finfo(torch.float16).max
    return np.asarray((feature.half() if fits else feature).cpu().numpy())


class TeacherFeatures:
    """The cached features of some layers, for the views of one configuration."""

    def __init__(self, teacher_folder: Path, config: Config, layers: Sequence[str], device: torch.device | str = "cpu"):
        """Map the files.

        Raises:
            CacheError: a layer's are missing or damaged.
        """
        self._device = torch.device(device)
        folders = [features_folder(teacher_folder, config, layer) for layer in layers]
        self._views = [list(_views(folder, number_of_views(config))) for folder in folders]
        self.sample_bytes = sum(4 * views[0][0].numel() for views in self._views if views)
        """Of one sample in one view, all layers together, as they are compared."""
        whole = sum(view.numel() * view.element_size() for views in self._views for view in views)
        if whole <= _ON_DEVICE_BYTES:
            self._views = [[view.to(self._device) for view in views] for views in self._views]

    def at(self, view: int, index: Tensor) -> tuple[Tensor, ...]:
        """float32 [batch, *shape] of each layer, in their order, for the samples at `index` (int64 [batch])."""
        return tuple(views[view][index.to(views[view].device)].to(self._device).float() for views in self._views)


def _views(folder: Path, count: int) -> Iterator[Tensor]:
    if not folder.is_dir():
        raise CacheError(f"{folder}: the teacher's features are missing; start again.")
    for view in range(count):
        yield as_tensor(read_arrays(folder / f"view_{view:05d}.arrow")["features"])
