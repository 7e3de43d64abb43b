"""Run a teacher's expensive work, in this process unless a cluster has places for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.labelling import Runner
from distill_tune.distillation.preparation.teacher_training import Recipe, train_teacher
from distill_tune.errors import TeacherError
from distill_tune.teachers import Say, Teacher, Trained


class TeacherWork:
    """Does all work in this process."""

    def train(self, recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
        """As `train_teacher`."""
        return train_teacher(recipe, config, dataset, say)

    @contextmanager
    def runner(self, module: nn.Module, left_s: float) -> Iterator[Runner]:
        """Yield the `Runner` for the teacher's views; `left_s` is the time that they would take in this process."""
        yield Runner()


@dataclass(frozen=True)
class OnlyKept(TeacherWork):
    """Trains no teacher in place of a kept one: the results of students of two teachers cannot be compared."""

    work: TeacherWork
    """Does everything else."""
    cache: Path
    """Where the teacher must be."""

    def train(self, recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
        """Refuse, unless the teacher is of a source of one's own, which need not keep what it trains.

        Raises:
            TeacherError: the teacher is missing or damaged.
        """
        sections = [config.teacher, *Teacher.of(config.teacher).member_configs().values()]
        if "train" not in {section.source for section in sections}:
            return self.work.train(recipe, config, dataset, say)
        raise TeacherError(
            f"{self.cache}: the teacher that the trials of this search have learned from is missing or damaged there; "
            "put the folder back as it was, or begin a new search."
        )

    @contextmanager
    def runner(self, module: nn.Module, left_s: float) -> Iterator[Runner]:
        """As the other's."""
        with self.work.runner(module, left_s) as runner:
            yield runner
