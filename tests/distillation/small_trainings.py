"""Trainings of small students from start to finish, and helpers to compare the results."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from distill_tune.config import Config, Space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Checkpoint, Epoch

Make = Callable[..., Space]
Ready = Callable[[Space], tuple[Config, Any]]
Report = dict[str, float]


def epochs_of(run: tuple[Config, Any], seed: int = 0, resume: Checkpoint | None = None) -> Iterator[Epoch]:
    config, preparation = run
    return distill(config, Materials.open(preparation.prepared, config), seed, resume=resume)


def reports_of(run: tuple[Config, Any], seed: int = 0) -> list[Report]:
    return [untimed(epoch.report) for epoch in epochs_of(run, seed)]


def untimed(report: Report) -> Report:
    return {name: value for name, value in report.items() if "time/" not in name and name != "samples_per_s"}


def report_of(epoch: Epoch) -> Report:
    return untimed(epoch.report)


def weights_after(run: tuple[Config, Any], seed: int = 0) -> dict[str, Tensor]:
    *_, last = epochs_of(run, seed)
    return last.student.state_dict()


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def saved_and_read(checkpoint: Checkpoint) -> Checkpoint:
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    read: Checkpoint = torch.load(file, weights_only=True)
    return read
