"""Estimate how long it takes to prepare the teachers before a search: training, if done here, labelling, features.

A batch is timed in float32, on all threads or one, whichever labels faster. The search itself measures whether
bfloat16 trains faster, so training may well take less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from distill_tune.config import Config, Space
from distill_tune.data import Dataset
from distill_tune.distillation.cache.features import features_folder
from distill_tune.distillation.cache.folders import number_of_views, outputs_folder
from distill_tune.distillation.cache.labelling_pace import threads_that_label_fastest
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.devices import device_for, is_missing, memory_given_back, on_device
from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.preparation.feature_checks import feature_losses, teacher_layers
from distill_tune.distillation.preparation.ready_teachers import teacher_folders
from distill_tune.distillation.preparation.teacher_training import Recipe, own_config
from distill_tune.distillation.preparation.variants import augmentation_variants
from distill_tune.distillation.seeds import generators_kept
from distill_tune.distillation.training.pace import step_s
from distill_tune.students import Student, student_on
from distill_tune.teachers import LoadedTeacher
from distill_tune.teachers.sources.train import KEPT

_LEAST_STEPS = 3


class TeacherTime(NamedTuple):
    """What is still to be done for all teachers, beyond what the cache has."""

    training_s: float
    labelled: int
    """Samples to label; each view of a sample counts."""
    labelling_s: float
    shown: int = 0
    """Samples to look at once more, for losses on features; each view of a sample counts."""
    showing_s: float = 0.0


def estimated_teacher_time(
    space: Space, dataset: Dataset, teachers: Mapping[str, LoadedTeacher | Recipe], cache: Path
) -> TeacherTime | None:
    """Estimate from a timed batch of each teacher; None if they would run on a GPU that this machine lacks.

    Args:
        space: what would be searched.
        dataset: its data.
        teachers: the result of `try_to_load`.
        cache: where a search would find what an earlier one has prepared.
    """
    if is_missing(space.config):
        return None
    device, folders = device_for(space.config), teacher_folders(space, dataset, cache)
    with generators_kept(torch.device(device)), memory_given_back(device):
        each = [_time_of(space, dataset, teacher, folders[name], device) for name, teacher in teachers.items()]
    splits = space.config.data.folds or 1  # k folds on (k - 1)/k of the samples each, and the whole
    return TeacherTime(*(splits * sum(parts) for parts in zip(*each, strict=True)))


def _time_of(space: Space, dataset: Dataset, teacher: LoadedTeacher | Recipe, folder: Path, device: str) -> TeacherTime:
    network = _network_of(teacher, space.config, dataset)
    if network is None:
        return TeacherTime(0.0, 0, 0.0)
    variants = {outputs_folder(folder, variant): variant for variant in augmentation_variants(space)}
    unlabelled = [variant for outputs, variant in variants.items() if not outputs.exists()]
    labelled = _num_views(unlabelled, dataset) + len(unlabelled) * dataset.num_rows["validation"]
    shown = _num_views(_unshown(space, dataset, network, folder, variants.values()), dataset)
    is_kept = (folder / KEPT).is_file() or len(unlabelled) < len(variants)  # a custom source: has labelled some
    inputs = dataset.split("train").inputs
    with on_device(device, network), threads_that_label_fastest(network, inputs) as sample_s:
        training_s = 0.0
        if not isinstance(teacher, LoadedTeacher) and not is_kept:
            training_s = _training_s(network, teacher, space.config, sample_s, dataset, device)
    return TeacherTime(training_s, labelled, labelled * sample_s, shown, shown * sample_s)


def _network_of(teacher: LoadedTeacher | Recipe, config: Config, dataset: Dataset) -> nn.Module | None:
    """A teacher's network, untrained if it is to be trained here; None if there are only its logits."""
    if isinstance(teacher, LoadedTeacher):
        return teacher.module
    return student_on(Student.of(own_config(teacher, config).student), dataset)


def _num_views(variants: Iterable[Config], dataset: Dataset) -> int:
    """Views of training samples in these variants, all together."""
    return num_visible(dataset) * sum(map(number_of_views, variants))


def _unshown(
    space: Space, dataset: Dataset, network: nn.Module, folder: Path, variants: Iterable[Config]
) -> list[Config]:
    """The variants over whose views the teacher has yet to run once more, for losses on features."""
    if not feature_losses(space):
        return []
    layers = teacher_layers(space, dataset, anatomy_of(network, dataset.input_shape))
    return [each for each in variants if not all(features_folder(folder, each, name).exists() for name in layers)]


def _training_s(
    network: nn.Module, recipe: Recipe, of_run: Config, sample_s: float, dataset: Dataset, device: str
) -> float:
    config, generations = own_config(recipe, of_run), int(recipe["generations"])
    train, size = dataset.split("train"), config.optim.batch_size
    samples = len(train.labels) * config.data.passes * config.search.max_epochs  # those with a label are repeated
    inputs, labels = (torch.from_numpy(part[:size].copy()).to(device) for part in (train.inputs, train.labels))
    batch_s = step_s(network, inputs, labels, "float32", least_steps=_LEAST_STEPS)
    of_each_s = samples * batch_s / len(labels)
    return of_each_s + generations * (of_each_s + samples * sample_s)  # each generation labels the next one's data
