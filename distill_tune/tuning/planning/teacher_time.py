"""Estimate how long it takes to prepare the teachers before a search: training, if done here, and labelling.

A batch is timed in float32, on all threads or one, whichever labels faster. The search itself measures whether
bfloat16 trains faster, so training may well take less.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from distill_tune.config import Config, Space
from distill_tune.data import UNLABELLED, Dataset
from distill_tune.distillation.cache.folders import number_of_views, outputs_folder
from distill_tune.distillation.cache.labelling_pace import threads_that_label_fastest
from distill_tune.distillation.cache.seen import num_visible
from distill_tune.distillation.devices import device_for, is_missing, memory_given_back, on_device
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
    training_s, labelled, labelling_s = map(sum, zip(*each, strict=True))
    splits = space.config.data.folds or 1  # k folds on (k - 1)/k of the samples each, and the whole
    return TeacherTime(training_s * splits, labelled * splits, labelling_s * splits)


def _time_of(space: Space, dataset: Dataset, teacher: LoadedTeacher | Recipe, folder: Path, device: str) -> TeacherTime:
    variants = {outputs_folder(folder, variant): variant for variant in augmentation_variants(space)}
    unlabelled = [variant for outputs, variant in variants.items() if not outputs.exists()]
    samples = num_visible(dataset)
    labelled = sum(number_of_views(each) * samples + dataset.num_rows["validation"] for each in unlabelled)
    inputs = dataset.split("train").inputs
    if isinstance(teacher, LoadedTeacher):
        with on_device(device, teacher.module), threads_that_label_fastest(teacher.module, inputs) as sample_s:
            return TeacherTime(0.0, labelled if teacher.module is not None else 0, labelled * sample_s)
    config = own_config(teacher, space.config)
    network = student_on(Student.of(config.student), dataset)
    is_kept = (folder / KEPT).is_file() or len(unlabelled) < len(variants)  # a custom source: has labelled some
    with on_device(device, network), threads_that_label_fastest(network, inputs) as sample_s:
        training_s = 0.0 if is_kept else _training_s(network, config, teacher["generations"], sample_s, dataset, device)
    return TeacherTime(training_s, labelled, labelled * sample_s)


def _training_s(
    network: nn.Module, config: Config, generations: int, sample_s: float, dataset: Dataset, device: str
) -> float:
    train, size = dataset.split("train"), config.optim.batch_size
    samples = int((train.labels != UNLABELLED).sum()) * config.data.passes * config.search.max_epochs
    inputs, labels = (torch.from_numpy(part[:size].copy()).to(device) for part in (train.inputs, train.labels))
    batch_s = step_s(network, inputs, labels, "float32", least_steps=_LEAST_STEPS)
    of_each_s = samples * batch_s / len(labels)
    return of_each_s + generations * (of_each_s + samples * sample_s)  # each generation labels the next one's data
