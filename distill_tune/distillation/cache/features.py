"""Cache the teacher's features: for every view of every training sample, those of the layers that losses need.

They are stored next to the logits (`outputs.py`), one folder per layer, named after the views and the layer, with
checksums and one Arrow file per view, memory-mapped by all workers. Numbers are float16, with an error of at most 2^-11
(0.05 %) of each, or 3e-8 if that is more; a view with a number beyond 65,504 is stored as float32. Large maps are
average-pooled first (`bounded` in `features/tap.py`). All layers together cost one more run of the teacher over the
views.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from distill_tune.arrays import read_arrays, write_arrays
from distill_tune.atomic import new_folder
from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.folders import (
    FEATURES,
    number_of_views,
    outputs_are_whole,
    outputs_folder,
    write_checksums,
)
from distill_tune.distillation.cache.labelling import at_a_time
from distill_tune.distillation.cache.progress import Progress
from distill_tune.distillation.cache.seen import as_tensor, home_of_outputs, num_visible, training_views
from distill_tune.distillation.devices import gathered, in_parts
from distill_tune.distillation.features.anatomy import Anatomy
from distill_tune.distillation.features.tap import Tap, run_tapped
from distill_tune.distillation.views import Views
from distill_tune.errors import CacheError, TeacherError
from distill_tune.evaluation.portions import device_of
from distill_tune.room import check_room, in_bytes
from distill_tune.teachers import LoadedTeacher, Say

ANATOMY = "anatomy.json"
"""File in the teacher's folder that lists its layers."""
_FORMAT = 3
"""Incremented when the file format, or the shape in which a layer is stored, changes."""
_BYTES = 2


def feature_bytes(anatomy: Anatomy, layers: Sequence[str], samples: int, views: int) -> int:
    """Size on disk of the features of a teacher's layers, for `samples` samples in `views` views."""
    return samples * views * _BYTES * sum(prod(anatomy.kept().shapes[layer]) for layer in layers)


def announce_features(
    teacher_folder: Path,
    variants: Sequence[Config],
    dataset: Dataset,
    anatomy: Anatomy,
    layers: Sequence[str],
    say: Say,
) -> None:
    """Report the size of the features still to be computed, for all augmentations of a space together.

    Raises:
        ConfigError: the disk has no room for them.
    """
    samples = num_visible(dataset)
    new = {features_folder(teacher_folder, v, layer): (layer, number_of_views(v)) for v in variants for layer in layers}
    missing = [made for folder, made in new.items() if made[1] and not folder.exists()]
    size = sum(feature_bytes(anatomy, [layer], samples, views) for layer, views in missing)
    if missing:
        names = ", ".join(sorted({layer for layer, _ in missing}))
        what = f"the teacher's features ({names})"
        check_room(teacher_folder, size, what, "lower teacher.views, set teacher.mode = 'live', ")
        say(f"{what}: {samples:,} samples, {in_bytes(size)}")


def features_folder(teacher_folder: Path, config: Config, layer: str, sources: Mapping[str, str] | None = None) -> Path:
    """The folder of one layer's features for the views of this configuration; `sources` as in `outputs_folder`."""
    what = json.dumps([_FORMAT, outputs_folder(teacher_folder, config, sources).name, layer])
    return teacher_folder / f"{FEATURES}{hashlib.sha256(what.encode()).hexdigest()[:12]}"


def missing_features(teacher_folder: Path, config: Config, layers: Sequence[str]) -> list[str]:
    """The teacher's layers whose features are missing or damaged."""
    needed = layers if number_of_views(config) else []
    return [layer for layer in needed if not outputs_are_whole(features_folder(teacher_folder, config, layer))]


def write_features(
    teacher_folder: Path,
    config: Config,
    dataset: Dataset,
    teacher: LoadedTeacher,
    layers: Sequence[str],
    say: Say,
) -> None:
    """Run the teacher over every view once more and store the outputs of these layers.

    Raises:
        TeacherError: a number is not finite.
    """
    if not layers:
        return
    views, count = training_views(config, dataset), number_of_views(config)
    samples, turned = num_visible(dataset), Anatomy.read(teacher_folder / ANATOMY).channels_last
    say(f"teacher shows features of {', '.join(layers)} for {samples:,} samples in {count} view{'s' * (count > 1)}")
    progress = Progress(samples * count, say)
    with ExitStack() as stack:
        folders = [features_folder(teacher_folder, config, layer) for layer in layers]
        news = [stack.enter_context(new_folder(folder, outputs_are_whole)) for folder in folders]
        for view in range(count):
            made = _features(teacher, views, view, samples, layers, turned, progress.seen)
            for new, array in zip(news, made, strict=True):
                write_arrays(new / f"view_{view:05d}.arrow", {"features": array})
        for new in news:
            write_checksums(new)


def _features(
    teacher: LoadedTeacher,
    views: Views,
    view: int,
    samples: int,
    layers: Sequence[str],
    channels_last: Collection[str],
    seen: Callable[[int], None],
) -> list[np.ndarray]:
    """Each layer's features in one view: float16 [samples, *shape], or float32 if a number does not fit."""
    assert teacher.module is not None
    tap, where = Tap(teacher.module, layers, channels_last), views.place_for(device_of(teacher.module))
    found: list[np.ndarray] = []
    try:
        for index in torch.arange(samples).split(at_a_time(teacher.module, views.sample_shape)):
            shown = in_parts(partial(_shown, tap, teacher.module), views.take(index, view, where).inputs)
            parts = [layer[0] if len(layer) == 1 else np.concatenate(layer) for layer in zip(*shown, strict=True)]
            found = found or [np.empty((samples, *part.shape[1:]), part.dtype) for part in parts]
            found = [_filled(whole, index.numpy(), part) for whole, part in zip(found, parts, strict=True)]
            seen(len(index))
    finally:
        tap.close()
    return found


def _shown(tap: Tap, module: nn.Module, inputs: Tensor) -> list[np.ndarray]:
    return [_stored(feature) for feature in run_tapped(tap, module, inputs)[1]]


def _filled(whole: np.ndarray, rows: np.ndarray, part: np.ndarray) -> np.ndarray:
    whole = whole.astype(np.promote_types(whole.dtype, part.dtype), copy=False)
    whole[rows] = part
    return whole


def _stored(feature: Tensor) -> np.ndarray:
    if not feature.isfinite().all():
        raise TeacherError("teacher: one of its features is not a finite number; check its weights and inputs.")
    fits = feature.abs().max() <= torch.finfo(torch.float16).max
    return np.asarray((feature.half() if fits else feature).cpu().numpy())


class TeacherFeatures:
    """The cached features of some layers, for the views of one configuration."""

    def __init__(
        self,
        teacher_folder: Path,
        config: Config,
        layers: Sequence[str],
        device: torch.device | str = "cpu",
        sources: Mapping[str, str] | None = None,
    ):
        """Memory-map the files; `sources` as in `outputs_folder`.

        Raises:
            CacheError: a layer's files are missing or damaged.
        """
        self._device = torch.device(device)
        folders = [features_folder(teacher_folder, config, layer, sources) for layer in layers]
        self._views = [list(_views(folder, number_of_views(config))) for folder in folders]
        self.sample_bytes = sum(4 * views[0][0].numel() for views in self._views if views)
        """Bytes of one sample in one view, all layers together, in float32 as they are compared."""
        whole = sum(view.numel() * view.element_size() for views in self._views for view in views)
        home = home_of_outputs(whole, self._device)
        self._views = [[view.to(home) for view in views] for views in self._views]

    def at(self, view: int, index: Tensor) -> tuple[Tensor, ...]:
        """float32 [batch, *shape] for each layer in order, for the samples at `index` (int64 [batch])."""
        return tuple(gathered(views[view], index, self._device).float() for views in self._views)


def _views(folder: Path, count: int) -> Iterator[Tensor]:
    if not folder.is_dir():
        raise CacheError(f"{folder}: the teacher's features are missing; start again.")
    for view in range(count):
        yield as_tensor(read_arrays(folder / f"view_{view:05d}.arrow")["features"])
