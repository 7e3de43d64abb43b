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
from distill_tune.teachers import Say, Trained


class TeacherWork:
    """Does all work in this process."""

    def of_source(self, source: str) -> TeacherWork:
        """The work for a teacher of this source."""
        return self

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

    def of_source(self, source: str) -> TeacherWork:
        """A source of one's own need not keep what it trains, so it trains in each session."""
        return self if source == "train" else self.work

    def train(self, recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
        """Refuse.

        Raises:
            TeacherError: the teacher is missing or damaged.
        """
        raise TeacherError(
            f"{self.cache}: the teacher that the trials of this search have learned from is missing or damaged there; "
            "put the folder back as it was, or begin a new search."
        )

    @contextmanager
    def runner(self, module: nn.Module, left_s: float) -> Iterator[Runner]:
        """As the other's."""
        with self.work.runner(module, left_s) as runner:
            yield runner
