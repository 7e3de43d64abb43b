"""How good each teacher is on validation: the first sign that it is not the one that was meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill_tune.arrays import read_arrays
from distill_tune.config import Space
from distill_tune.config.messages import dotted, named_apart
from distill_tune.config.sections import TeacherConfig
from distill_tune.data import Dataset
from distill_tune.distillation.cache.outputs import VALIDATION
from distill_tune.distillation.preparation.ready_teachers import teachers_to_prepare
from distill_tune.distillation.preparation.users_keys import table_of
from distill_tune.teachers import Say, Teacher
from distill_tune.teachers._network import NetworkTeacher


@dataclass(frozen=True)
class HowGood:
    """How good a teacher is on validation; with folds there is one per fold, and their samples are pooled."""

    accuracy: float
    commonest_class: float
    """The share of the commonest class, and so the accuracy of always naming it."""


def say_how_good(
    space: Space, outputs: Sequence[dict[str, Path]], datasets: Sequence[Dataset], say: Say
) -> dict[str, HowGood]:
    """Report and return how good each teacher is, from the folders of its outputs for each split, by its name."""
    found = {name: _how_good([each[name] for each in outputs], datasets) for name in teachers_to_prepare(space)}
    for name, section in teachers_to_prepare(space).items():
        say(_in_words(found[name], name, section, datasets[0]))
    return found


def _how_good(outputs: Sequence[Path], datasets: Sequence[Dataset]) -> HowGood:
    labels = np.concatenate([each.split("validation").labels for each in datasets])
    chosen = np.concatenate([read_arrays(each / VALIDATION)["logits"].argmax(1) for each in outputs])
    return HowGood(float((chosen == labels).mean()), float(np.bincount(labels).max() / len(labels)))


def _in_words(found: HowGood, name: str, section: TeacherConfig, dataset: Dataset) -> str:
    """A message with the teacher's validation accuracy; a warning if it is no better than the commonest class.

    A teacher whose classes are in another order, whose inputs have other units, or whose weights are not the trained
    ones, labels everything wrong without an error, and a search with it would still end in a verdict. So does a table
    of logits whose rows are in another order.
    """
    line = f"{f'teacher {name}'.rstrip()}: val/accuracy {found.accuracy:.4f}"
    if found.accuracy > found.commonest_class:
        return line
    line += f", no better than always the commonest class ({found.commonest_class:.4f})"
    source, inputs, named = Teacher.of(section), "its inputs", ""
    if source.trains_here:
        return f"warning: {line}; train it longer, or with another learning rate"
    if isinstance(source, NetworkTeacher):
        table = f"{table_of(name)}.{dotted((section.source,))}"
        inputs += f" ({table}.mean and std)" if dataset.is_image else ""
        named = f"; if the teacher has another, name it in {table}.classes"
    suspects = f"its weights, {inputs}," if source.has_network else "the order of its rows (it must be the data's),"
    return f"warning: {line}; check {suspects} and the order of its classes ({named_apart(dataset.classes)}{named})"
