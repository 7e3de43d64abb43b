"""Cross-validation: a training is one student per fold, trained side by side, with one report over all of them.

Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions", J. R. Stat. Soc. B, 1974. Every sample
outside the test split is validated on once, by a student that has not seen it, taught by a teacher that has not seen it
either. The folds' epochs are interleaved, so a training reports, and can be stopped, after each epoch like any other.
The chosen configuration is trained once more on all folds together (the refit): that student is for use and testing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import torch
from torch import nn

from distill_tune.config import Config
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Checkpoint, Epoch
from distill_tune.errors import TrainingError

_SUMMED = ("time/training_s",)
_FIRST = ("time/began_s", "epoch")


@dataclass(frozen=True)
class Students:
    """The result of one training: the student for use and, with folds, the student validated in each."""

    student: nn.Module
    folds: tuple[nn.Module, ...] = ()


@dataclass(frozen=True)
class Progress:
    """The result of an epoch of a training, with or without folds."""

    report: dict[str, float]
    checkpoint: Callable[[], Checkpoint]
    """As in `Epoch`."""
    students: Students


def train_students(
    config: Config,
    prepared: Prepared,
    seed: int,
    device: torch.device | str = "cpu",
    resume: Checkpoint | None = None,
    refit: bool = False,
) -> Generator[Progress, None, None]:
    """Train one student, or if `prepared` has folds, one per fold and, with `refit`, one on all folds.

    Raises:
        TrainingError: a loss is not finite.
    """
    if not prepared.folds:
        with closing(distill(config, Materials.open(prepared, config, device), seed, device, resume)) as epochs:
            for epoch in epochs:
                yield Progress(epoch.report, epoch.checkpoint, Students(epoch.student))
        return
    folds = [Materials.open(fold, config, device) for fold in prepared.folds]
    everything = Materials.open(prepared, config, device) if refit else None
    with closing(_cross_validate(config, folds, everything, seed, device, resume)) as progress:
        yield from progress


def _cross_validate(
    config: Config,
    folds: Sequence[Materials],
    everything: Materials | None,
    seed: int,
    device: torch.device | str,
    resume: Checkpoint | None,
) -> Generator[Progress, None, None]:
    """Train the epochs of the folds and of the refit in turns; the refit affects only the times in the report."""
    trained = [*folds] if everything is None else [*folds, everything]
    states: Sequence[Checkpoint | None] = [None] * len(trained) if resume is None else resume["folds"]
    with ExitStack() as stack:
        runs = [
            stack.enter_context(closing(distill(config, materials, seed, device, state)))
            for materials, state in zip(trained, states, strict=True)
        ]
        for _ in range(0 if resume is None else resume["epoch"], config.search.max_epochs):
            epochs = [_next(run, number, len(folds)) for number, run in enumerate(runs)]
            of_folds = epochs[: len(folds)]
            students = tuple(epoch.student for epoch in of_folds)
            report = combined(of_folds) | _total([epoch.report for epoch in epochs])
            yield Progress(report, _together(epochs), Students(epochs[-1].student, students))


def combined(epochs: Sequence[Epoch]) -> dict[str, float]:
    """One report from the same epoch of several folds: validation counts are summed before they are divided.

    Everything else is a mean, weighted by each fold's number of validation samples.
    """
    counts = [epoch.validation.count for epoch in epochs]
    reports = [epoch.report for epoch in epochs]
    weights = [count / sum(counts) for count in counts]
    report = {
        name: sum(weight * each[name] for weight, each in zip(weights, reports, strict=True)) for name in reports[0]
    }
    validation = reduce(add, (epoch.validation for epoch in epochs)).metrics
    report |= {f"val/{name}": value for name, value in validation.items()}
    if "train/accuracy" in report:
        report["gap/accuracy"] = report["train/accuracy"] - report["val/accuracy"]
    return report


def _total(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """The values for all trainings together: the epoch, when it began, its seconds and its speed."""
    total = {name: min(report[name] for report in reports) for name in _FIRST}
    total |= {name: sum(report[name] for report in reports) for name in _SUMMED}
    return total | {"samples_per_s": len(reports) / sum(1 / report["samples_per_s"] for report in reports)}


def _together(epochs: Sequence[Epoch]) -> Callable[[], Checkpoint]:
    def checkpoint() -> dict[str, Any]:
        return {"epoch": int(epochs[0].report["epoch"]), "folds": [epoch.checkpoint() for epoch in epochs]}

    return checkpoint


def _next(run: Generator[Epoch, None, None], number: int, folds: int) -> Epoch:
    try:
        return next(run)
    except TrainingError as error:
        where = f"fold {number + 1} of {folds}" if number < folds else "all folds together"
        raise TrainingError(f"{where}: {error}") from error
