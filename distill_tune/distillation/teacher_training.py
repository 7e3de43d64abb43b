"""Training a teacher: the loop of every student, on all labels of the training split, without a teacher of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from distill_tune.config import Config, tables_of
from distill_tune.config.validate import validate
from distill_tune.data import Dataset
from distill_tune.distillation.loop import distill
from distill_tune.distillation.materials import Materials
from distill_tune.distillation.precision import faster_precision, faster_threads, threads
from distill_tune.distillation.prepared import Prepared
from distill_tune.distillation.views import check_augmentation
from distill_tune.errors import ConfigError, TeacherError, TrainingError

_NUM_LINES = 5
"""How often the training says how it is getting on."""
_KEYS = {
    "student.": "teacher.",
    "augmentation.": "teacher.train.augmentation.",
    "optim.kind": "teacher.train.optimizer",
}
"""Where the user wrote what the teacher's own configuration has elsewhere."""


def train_teacher(recipe: dict[str, Any], config: Config, dataset: Dataset, say: Callable[[str], None]) -> nn.Module:
    """A teacher trained to the end.

    Args:
        recipe: the sections of its configuration, and `passes`.
        config: of the run that it is for; its data are the teacher's too.
        dataset: that data.
        say: is told how it is getting on.

    Raises:
        TeacherError: the recipe does not fit the data, or the training diverged.
    """
    data = {**tables_of(config)["data"], "passes": recipe["passes"]}
    sections = {name: table for name, table in recipe.items() if name != "passes"}
    with _said_of_the_teacher():
        own = validate({"data": data, **sections})
        check_augmentation(own.augmentation, dataset)
        return _train(own, dataset, say)


def _train(config: Config, dataset: Dataset, say: Callable[[str], None]) -> nn.Module:
    materials = Materials.open(Prepared(dataset.folder, None), config, see_all=True)
    precision, num_threads = _fastest(config, materials)
    config = config.model_copy(update={"optim": config.optim.model_copy(update={"precision": precision})})
    epochs, lines = config.search.max_epochs, _NUM_LINES if materials.dataset.fold is None else 1
    say(f"training the teacher ({config.student.family}) for {epochs} epochs in {precision}")
    with threads(num_threads):
        for epoch in distill(config, materials, config.search.seed):
            number = int(epoch.report["epoch"])
            if number % max(1, epochs // lines) == 0:
                seen = " (on samples of its training)" if materials.dataset.has_no_validation else ""
                say(f"teacher epoch {number} of {epochs}: val/accuracy {epoch.report['val/accuracy']:.4f}{seen}")
    return epoch.student


def _fastest(config: Config, materials: Materials) -> tuple[str, int]:
    """The precision and the number of threads in which this teacher trains fastest."""
    batch = slice(0, config.optim.batch_size)
    inputs, labels = materials.train_inputs[batch], materials.labels[batch]
    with torch.random.fork_rng():
        precision = faster_precision(lambda: materials.build_student(config), inputs, labels)
        num_threads = faster_threads(lambda: materials.build_student(config), inputs, labels, precision)
    return precision, num_threads


@contextmanager
def _said_of_the_teacher() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        text = str(error)
        for ours, theirs in _KEYS.items():
            text = theirs + text.removeprefix(ours) if text.startswith(ours) else text
        raise TeacherError(text) from error
    except TrainingError as error:
        raise TeacherError(f"teacher.train: {error} Lower teacher.train.learning_rate.") from error
