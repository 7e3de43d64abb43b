"""How long an epoch will take: timed steps of the middle student of each family, on the data's own samples."""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F

from distill_tune.config import Config, Space
from distill_tune.config.ranges import Choice, Range
from distill_tune.config.space import dotted
from distill_tune.data import Dataset
from distill_tune.distillation.teacher_cache import visible_rows
from distill_tune.students import build_student

_TIMED_STEPS = 20
_WARM_UP_STEPS = 2


def samples_per_epoch(config: Config, dataset: Dataset) -> int:
    """What a student sees in an epoch."""
    return len(visible_rows(dataset.split("train"), dataset.rest)) * config.data.passes


def estimated_epoch_s(space: Space, dataset: Dataset) -> float:
    """Seconds of an epoch: the mean over the families, each at the middle of its ranges, on one worker."""
    torch.set_num_threads(space.config.resources.cpus_per_worker)
    found = space.ranges.get(("student", "family"))
    families = found.values if isinstance(found, Choice) else (space.config.student.family,)
    with torch.random.fork_rng():
        step_s = [_time_step_s(_middle(space, family), dataset) for family in families]
    steps = samples_per_epoch(space.config, dataset) / space.config.optim.batch_size
    return steps * sum(step_s) / len(step_s) / space.config.resources.workers_per_trial


def _middle(space: Space, family: str) -> Config:
    own = {path: found for path, found in space.ranges.items() if path[:2] == ("student", family)}
    return space.at({"student.family": family, **{dotted(path): _middle_of(found) for path, found in own.items()}})


def _middle_of(found: Range) -> Any:
    if isinstance(found, Choice):
        return found.values[len(found.values) // 2]
    middle = (found.low + found.high) / 2
    return int(middle) if found.integer else middle


def _time_step_s(config: Config, dataset: Dataset) -> float:
    train = dataset.split("train")
    inputs = torch.from_numpy(train.inputs[: config.optim.batch_size].copy())
    labels = torch.from_numpy(train.labels[: config.optim.batch_size].copy())
    student = build_student(
        config.student.chosen("family"), dataset.input_shape, len(dataset.classes), dataset.mean, dataset.std
    )
    optimizer = config.optim.chosen("kind").build(student, 1e-4, 0.0)
    for step in range(_WARM_UP_STEPS + _TIMED_STEPS):
        if step == _WARM_UP_STEPS:
            start_s = time.perf_counter()
        optimizer.zero_grad()
        F.cross_entropy(student(inputs), labels).backward()
        optimizer.step()
    return (time.perf_counter() - start_s) / _TIMED_STEPS
