"""Estimate how long an epoch takes, and choose the precision, by timing steps of the middle student of each family.

If that student is over the limits, the largest one that they allow is timed; families that they do not admit are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from distill_tune.config import Config, Space
from distill_tune.config.leaves import FAMILY, KeyPath
from distill_tune.config.messages import dotted
from distill_tune.data import Dataset
from distill_tune.distillation.cache.labelling_pace import labelling_s
from distill_tune.distillation.cache.seen import as_tensor, num_visible
from distill_tune.distillation.devices import is_missing, memory_given_back
from distill_tune.distillation.preparation.ready_teachers import teachers_to_prepare
from distill_tune.distillation.seeds import generators_kept
from distill_tune.distillation.training.pace import Pace, fastest, laid_out, paces_s, step_s
from distill_tune.errors import ConfigError
from distill_tune.students import Student, student_on
from distill_tune.teachers import family_trained_here
from distill_tune.threads import threads
from distill_tune.tuning.planning.examination_time import examination_s
from distill_tune.tuning.planning.first_to_try import largest_within
from distill_tune.tuning.planning.limits import Limits
from distill_tune.tuning.planning.smallest import smallest_of

_OVER_S = 0.3
"""Seconds of timed steps per family."""


def samples_per_epoch(config: Config, dataset: Dataset) -> int:
    """The number of samples that a training run sees per epoch.

    With k folds there are k students on (k - 1)/k of the samples each, and in a confirmation one more on all of them:
    k times all samples is an upper bound.
    """
    return num_visible(dataset) * config.data.passes * (config.data.folds or 1)


def estimated_epoch_s(space: Space, dataset: Dataset) -> float | None:
    """Seconds of an epoch on one place: the mean over the families, each in the middle of its ranges.

    Includes a live teacher that is trained here; any other live teacher cannot be timed before it is loaded.

    None if it cannot be timed: trials have GPUs and this machine has none, or no middle student can be built.
    """
    if is_missing(space.config):
        return None
    resources = space.config.resources
    device = torch.device(resources.device)
    with threads(resources.cpus_per_worker), generators_kept(device), memory_given_back(device.type):
        live_s = samples_per_epoch(space.config, dataset) * _live_s(space, dataset, device)
        each_s = [live_s + _epoch_s(config, student, dataset, device) for config, student in _middles(space, dataset)]
    at_a_time = 1 / min(1.0, resources.gpus_per_worker or 1.0)  # trials may share the GPU, which was timed alone
    return sum(each_s) / len(each_s) * at_a_time / resources.workers_per_trial if each_s else None


def estimated_examination_s(space: Space, dataset: Dataset) -> float | None:
    """Seconds to examine one student: the mean over the families; None as in `estimated_epoch_s`."""
    if is_missing(space.config):
        return None
    with generators_kept(torch.device("cpu")):
        each_s = [examination_s(config, dataset) for config, _ in _middles(space, dataset)]
    return sum(each_s) / len(each_s) if each_s else None


def _epoch_s(config: Config, student: nn.Module, dataset: Dataset, device: torch.device) -> float:
    inputs, labels = _batch(config, dataset, device)
    network = laid_out(student.to(device), config.optim.memory_format)
    steps = samples_per_epoch(config, dataset) / len(labels)
    return steps * step_s(network, inputs, labels, config.optim.precision, _OVER_S)


def _live_s(space: Space, dataset: Dataset, device: torch.device) -> float:
    """Seconds per sample of the live teachers that are trained here."""
    if space.config.teacher.mode != "live":
        return 0.0
    families = filter(None, map(family_trained_here, teachers_to_prepare(space).values()))
    networks = (student_on(family, dataset).to(device) for family in families)
    return sum(labelling_s(network, dataset.split("train").inputs) for network in networks)


def chosen_paces(space: Space, dataset: Dataset) -> dict[str, Pace]:
    """The fastest way to train each family of a space on this machine; families that cannot be timed are left out."""
    resources = space.config.resources
    device = torch.device(resources.device)
    with threads(resources.cpus_per_worker), generators_kept(device), memory_given_back(device.type):
        middles = [config for config, _ in _middles(space, dataset)]
        return {config.student.family: fastest(_paces_s(config, dataset, device)) for config in middles}


def _paces_s(config: Config, dataset: Dataset, device: torch.device) -> dict[Pace, float]:
    def make() -> nn.Module:
        return student_on(Student.of(config.student), dataset).to(device)

    return paces_s(make, *_batch(config, dataset, device))


def _middles(space: Space, dataset: Dataset) -> Iterator[tuple[Config, nn.Module]]:
    """The middle student of each family, except of custom families that cannot be built this way.

    A family that the limits do not admit is never trained and left out; if they admit none, all are kept.
    """
    limits = Limits(space.config.limits, dataset)
    found, within = list[Config](), list[Config]()
    for family in space.families:
        with suppress(ConfigError):
            found.append(_middle(space, limits, family))
            within += [found[-1]] if limits.excess(found[-1]).share <= 0 else []
    for config in within or found:
        with suppress(ConfigError):
            yield config, student_on(Student.of(config.student), dataset)


def _middle(space: Space, limits: Limits, family: str) -> Config:
    """The middle student of a family; if that is over the limits, the largest they allow, or else the smallest.

    Raises:
        ConfigError: it cannot be built.
    """
    chosen: dict[KeyPath, Any] = {FAMILY: family}
    config = space.at(space.middle(chosen=chosen))
    if limits.excess(config).share <= 0:
        return config
    shares = largest_within(space, limits, chosen)
    if shares is None:
        smallest = smallest_of(space, limits, family)
        chosen |= {path: smallest[dotted(path)] for path in space.ranges_of(family)}
    return space.at(space.middle(shares, chosen))


def _batch(config: Config, dataset: Dataset, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    train, size = dataset.split("train"), config.optim.batch_size
    return as_tensor(train.inputs[:size].copy(), device), as_tensor(train.labels[:size].copy(), device)
