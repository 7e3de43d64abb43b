"""Refuse students that normalise vectors by the batch if a worker may see a single sample: their trials would fail."""

from __future__ import annotations

import torch

from distill_tune.config import Space
from distill_tune.config.corners import edges_of
from distill_tune.data import Dataset
from distill_tune.distillation.preparation.loss_checks import smallest_batch, smallest_part_of_any
from distill_tune.errors import ConfigError, TeacherError, one_line
from distill_tune.students import Student, looked_at, student_on
from distill_tune.teachers import Teacher, family_trained_here


def check_single_samples(space: Space, dataset: Dataset) -> None:
    """Try each family in training mode on one sample, if a worker may see no more in a step.

    Raises:
        ConfigError: a student needs more.
    """
    if smallest_part_of_any(space, dataset) > 1:
        return
    for family in space.families:
        for config in map(space.at, edges_of(space, family)):
            try:
                _try_one(Student.of(config.student), dataset)
            except ValueError as error:  # from torch's batch normalisation: one number has no variance
                raise ConfigError(_in_words(space, family, error)) from error


def _in_words(space: Space, family: str, error: Exception) -> str:
    batch, workers = smallest_batch(space), space.config.resources.workers_per_trial
    rule = f"student {family!r} cannot be trained on one sample a step for each worker ({one_line(error)})"
    cure = f"{2 * workers} or more, or choose another family."
    if batch // workers > 1:
        return f"data: {rule}, but there are too few whose labels it may see; give it {cure}"
    return f"optim.batch_size: {rule}, but got {batch}; write {cure}"


def check_single_samples_of_teachers(space: Space, dataset: Dataset) -> None:
    """Likewise for each family of a teacher that is trained here.

    Raises:
        TeacherError: it needs more.
    """
    teacher = space.config.teacher
    members = Teacher.of(teacher).member_configs()
    sections = {f"ensemble.members.{name}.": member for name, member in members.items()} or {"": teacher}
    for path, section in sections.items():
        family = family_trained_here(section)
        if family is None or getattr(Teacher.of(section), "batch_size", None) != 1:
            continue
        try:
            _try_one(family, dataset)
        except ValueError as error:
            raise TeacherError(
                f"teacher.{path}train.batch_size: {section.family!r} cannot be trained on one sample a step "
                f"({one_line(error)}), but got 1; write 2 or more, or choose another family."
            ) from error


def _try_one(family: Student, dataset: Dataset) -> None:
    looked_at(lambda: student_on(family, dataset).train()(torch.zeros(1, *dataset.input_shape)))
