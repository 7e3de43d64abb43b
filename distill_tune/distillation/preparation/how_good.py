"""How good each teacher is on validation: the first sign that it is not the one that was meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from distill_tune.arrays import read_arrays
from distill_tune.config import Space
from distill_tune.config.messages import dotted, named_apart
from distill_tune.data import Dataset
from distill_tune.distillation.cache.outputs import VALIDATION
from distill_tune.distillation.preparation.ready_teachers import teachers_to_prepare
from distill_tune.distillation.preparation.users_keys import table_of
from distill_tune.teachers import Say, Teacher
from distill_tune.teachers._network import NetworkTeacher


def say_how_good(space: Space, outputs: Sequence[dict[str, Path]], datasets: Sequence[Dataset], say: Say) -> None:
    """Report each teacher's validation accuracy, from the folders of its outputs for each split, by its name."""
    for name, section in teachers_to_prepare(space).items():
        source, theirs = Teacher.of(section), [each[name] for each in outputs]
        has_key = isinstance(source, NetworkTeacher)
        key = f"{table_of(name)}.{dotted((section.source, 'classes'))}" if has_key else ""
        say(_how_good(theirs, datasets, f"teacher {name}".rstrip(), source.has_network, key))


def _how_good(outputs: Sequence[Path], datasets: Sequence[Dataset], name: str, has_network: bool, key: str) -> str:
    """A message with the teacher's validation accuracy; a warning if it is no better than the commonest class.

    With folds there is one teacher per fold, and their validation samples are pooled.

    A teacher whose classes are in another order, or whose weights are not the trained ones, labels everything wrong
    without an error, and a search with it would still end in a verdict; `key`, if there is one, gives that order. So
    does a table of logits (no `has_network`) whose rows are in another order.
    """
    dataset = datasets[0]
    labels = np.concatenate([each.split("validation").labels for each in datasets])
    chosen = np.concatenate([read_arrays(each / VALIDATION)["logits"].argmax(1) for each in outputs])
    accuracy = float((chosen == labels).mean())
    commonest = np.bincount(labels).max() / len(labels)
    line = f"{name}: val/accuracy {accuracy:.4f}"
    if accuracy > commonest:
        return line
    named = f"; if the teacher has another, name it in {key}" if key else ""
    suspects = "its weights, its inputs, and" if has_network else "the order of its rows (it must be the data's), and"
    return (
        f"warning: {line}, no better than always the commonest class ({commonest:.4f}); check {suspects} the order of "
        f"its classes ({named_apart(dataset.classes)}{named})"
    )
