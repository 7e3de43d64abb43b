"""How long an epoch will take, and in which precision: timed steps of the middle student of each family."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from distill_tune.config import Config, Space
from distill_tune.config.messages import dotted
from distill_tune.config.ranges import Choice, Range
from distill_tune.data import Dataset
from distill_tune.distillation.materials import student_for
from distill_tune.distillation.pace import Pace, fastest, laid_out, paces_s, step_s, threads
from distill_tune.distillation.teacher_cache import visible_rows

_OVER_S = 0.5
"""Of timed steps, for each family."""


def samples_per_epoch(config: Config, dataset: Dataset) -> int:
    """What a training sees in an epoch.

    With k folds these are k students on (k - 1)/k of the samples each, and in a confirmation one more on all of them: k
    times all is never too little.
    """
    return len(visible_rows(dataset.split("train"), dataset.rest)) * config.data.passes * (config.data.folds or 1)


def estimated_epoch_s(space: Space, dataset: Dataset) -> float:
    """Seconds of an epoch on one place: the mean over the families, each at the middle of its ranges."""
    config = space.config
    batch = _batch(config, dataset)
    with threads(config.resources.cpus_per_worker), torch.random.fork_rng():
        optim = config.optim
        students = [laid_out(student_for(middle, dataset), optim.memory_format) for middle in _middles(space)]
        each_s = [step_s(student, *batch, optim.precision, _OVER_S) for student in students]
    steps = samples_per_epoch(config, dataset) / len(batch[1])
    return steps * sum(each_s) / len(each_s) / config.resources.workers_per_trial


def chosen_pace(space: Space, dataset: Dataset) -> Pace:
    """What trains the families of a space fastest on this machine's CPU."""
    config = space.config
    batch = _batch(config, dataset)
    with threads(config.resources.cpus_per_worker), torch.random.fork_rng():
        return fastest([paces_s(partial(student_for, middle, dataset), *batch) for middle in _middles(space)])


def _middles(space: Space) -> Iterator[Config]:
    for family in space.families:
        own = {dotted(path): _middle_of(found) for path, found in space.ranges_of(family).items()}
        yield space.at({"student.family": family, **own})


def _middle_of(found: Range) -> Any:
    if isinstance(found, Choice):
        return found.values[len(found.values) // 2]
    middle = (found.low + found.high) / 2
    return int(middle) if found.integer else middle


def _batch(config: Config, dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    train = dataset.split("train")
    size = config.optim.batch_size
    return torch.from_numpy(train.inputs[:size].copy()), torch.from_numpy(train.labels[:size].copy())
