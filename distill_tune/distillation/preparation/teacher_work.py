"""What takes long with a teacher, and who does it: this process, unless a cluster has places for it."""

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
    """All of it done here."""

    def train(self, recipe: Recipe, config: Config, dataset: Dataset, say: Say) -> Trained:
        """As `train_teacher`."""
        return train_teacher(recipe, config, dataset, say)

    @contextmanager
    def runner(self, module: nn.Module, left_s: float) -> Iterator[Runner]:
        """Who is to run a teacher over its views, which would take so long here."""
        yield Runner()
