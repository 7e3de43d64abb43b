"""Run a teacher's expensive work, in this process unless a cluster has places for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.cache.labelling import Runner
from distill_tune.distillation.preparation.teacher_training import Recipe, train_teacher
from distill_tune.teachers import Say, Trained


class TeacherWork:
    """Does all work in this process."""

    def train(self, recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
        """As `train_teacher`."""
        return train_teacher(recipe, config, dataset, say)

    @contextmanager
    def runner(self, module: nn.Module, left_s: float) -> Iterator[Runner]:
        """Yield the `Runner` for the teacher's views; `left_s` is the time that they would take in this process."""
        yield Runner()
