"""The examination: the test split, opened once, after everything has been chosen.

This is the only place in the program that calls `open_test`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from distill_tune.config import Config
from distill_tune.data import Dataset, Split
from distill_tune.data.dataset import open_test
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.devices import on_device
from distill_tune.distillation.materials.materials import student_for
from distill_tune.evaluation import metrics
from distill_tune.evaluation.calibration import fitted_temperature
from distill_tune.evaluation.corrupted import corrupted_accuracies
from distill_tune.evaluation.intervals import Interval, mean_interval
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.layout import Layout
from distill_tune.teachers import LoadedTeacher
from distill_tune.tuning.verdict.confirmation import Candidate
from distill_tune.tuning.workers.keeping import fold_weights


@dataclass(frozen=True)
class Examined:
    """How one configuration did on the test split, over its seeds."""

    accuracy: Interval
    seeds: list[int]
    correct: np.ndarray
    """bool [seeds, test samples]."""
    nll: float
    ece: float
    brier: float
    worst_class_accuracy: float
    nll_scaled: float
    ece_scaled: float
    scaling_temperature: float
    agreement: float
    kl_to_teacher: float
    corrupted_accuracy: float
    by_corruption: dict[str, float]


@dataclass(frozen=True)
class Examination:
    """All that was learned from the test split."""

    by_candidate: dict[str, Examined]
    teacher_accuracy: float
    member_accuracies: dict[str, float]
    """Of several teachers, each one's alone."""


Ask = Callable[[nn.Module, np.ndarray], np.ndarray]
"""A student, and inputs [n, *input_shape] in stored units; its logits, float32 [n, classes]."""


class Answers(NamedTuple):
    """What is known of one seed beside test."""

    logits: np.ndarray
    labels: np.ndarray


class Key(NamedTuple):
    """What answers on test are compared with."""

    labels: np.ndarray
    teacher_logits: np.ndarray


def examine(
    candidates: list[Candidate],
    teacher: LoadedTeacher,
    dataset: Dataset,
    folds: Sequence[Dataset] = (),
    device: str = "cpu",
) -> Examination:
    """Open the test split and measure every candidate in every seed that it was trained in.

    Teacher and students answer on `device`. With `folds`, the students are those of all folds together, and what is
    fitted on validation is fitted on each fold's samples as its own student, which has not seen them, answers them.
    """
    test = open_test(dataset)
    key = Key(test.labels, _labelled(teacher, test, device))
    ask = partial(_asked, device)
    students = {c.name: [load_student(c.config, dataset, c.weights[seed]) for seed in _seeds(c)] for c in candidates}
    corrupted = _corrupted(students, test, dataset.layout, ask)
    return Examination(
        by_candidate={
            c.name: _examine(
                _seeds(c),
                [ask(student, test.inputs) for student in students[c.name]],
                _known(c, students[c.name], dataset, folds, ask),
                corrupted[c.name],
                key,
            )
            for c in candidates
        },
        teacher_accuracy=metrics.accuracy(key.teacher_logits, test.labels),
        member_accuracies={
            name: metrics.accuracy(_labelled(member, test, device), test.labels)
            for name, member in teacher.members.items()
        },
    )


def _labelled(teacher: LoadedTeacher, test: Split, device: str) -> np.ndarray:
    return _there(device, teacher.module, lambda: label_inputs(teacher, test.inputs, test.index))


def _asked(device: str, student: nn.Module, inputs: np.ndarray) -> np.ndarray:
    return _there(device, student, lambda: predict_logits(student, inputs))


def _there(device: str, network: nn.Module | None, answered: Callable[[], np.ndarray]) -> np.ndarray:
    """A network's answers, on a GPU where the trials had some, unless somebody else has taken its memory since."""
    try:
        with on_device(device, network):
            return answered()
    except torch.OutOfMemoryError:
        return answered()


def _known(
    candidate: Candidate, students: list[nn.Module], dataset: Dataset, folds: Sequence[Dataset], ask: Ask
) -> list[Answers]:
    """In each seed, the logits of validation samples, from a student that has not seen them."""
    if not folds:
        validation = dataset.split("validation")
        return [Answers(ask(student, validation.inputs), validation.labels) for student in students]
    return [_out_of_fold(candidate, seed, folds, ask) for seed in _seeds(candidate)]


def _out_of_fold(candidate: Candidate, seed: int, folds: Sequence[Dataset], ask: Ask) -> Answers:
    logits, labels = list[np.ndarray](), list[np.ndarray]()
    for number, dataset in enumerate(folds):
        student = load_student(candidate.config, dataset, fold_weights(candidate.weights[seed], number))
        validation = dataset.split("validation")
        logits.append(ask(student, validation.inputs))
        labels.append(validation.labels)
    return Answers(np.concatenate(logits), np.concatenate(labels))


def _seeds(candidate: Candidate) -> list[int]:
    return sorted(candidate.weights)


def load_student(config: Config, dataset: Dataset, weights: Path) -> nn.Module:
    """The student of a configuration with its trained weights, in eval mode."""
    student = student_for(config, dataset)
    student.load_state_dict(load_file(weights))
    return student.eval()


def _corrupted(
    students: dict[str, list[nn.Module]], test: Split, layout: Layout | None, ask: Ask
) -> dict[str, list[dict[str, float]]]:
    """Accuracy by corruption for each student of each candidate; the inputs are worsened once for all of them."""
    everyone = [partial(ask, student) for each in students.values() for student in each]
    found = iter(corrupted_accuracies(everyone, test.inputs, test.labels, layout=layout))
    return {name: [next(found) for _ in each] for name, each in students.items()}


def _examine(
    seeds: list[int],
    logits: list[np.ndarray],
    known: list[Answers],
    corrupted: list[dict[str, float]],
    key: Key,
) -> Examined:
    """One configuration: of each seed its logits on test, what is known beside, and its accuracy by corruption."""
    temperatures, scaled = _scaled(logits, known)
    correct = np.stack([metrics.correct(each, key.labels) for each in logits])
    by_corruption = {name: float(np.mean([each[name] for each in corrupted])) for name in corrupted[0]}
    return Examined(
        accuracy=mean_interval(correct),
        seeds=seeds,
        correct=correct,
        nll=_mean(metrics.nll, logits, key.labels),
        ece=_mean(metrics.ece, logits, key.labels),
        brier=_mean(metrics.brier, logits, key.labels),
        worst_class_accuracy=_mean(metrics.worst_class_accuracy, logits, key.labels),
        nll_scaled=_mean(metrics.nll, scaled, key.labels),
        ece_scaled=_mean(metrics.ece, scaled, key.labels),
        scaling_temperature=float(np.mean(temperatures)),
        agreement=_mean(metrics.agreement, logits, key.teacher_logits),
        kl_to_teacher=_mean(metrics.kl_to_teacher, logits, key.teacher_logits),
        corrupted_accuracy=by_corruption.pop("mean"),
        by_corruption=by_corruption,
    )


def _mean(metric: Callable[[np.ndarray, np.ndarray], float], logits: list[np.ndarray], other: np.ndarray) -> float:
    """Over the seeds; `other` is what `metric` compares their logits with."""
    return float(np.mean([metric(each, other) for each in logits]))


def _scaled(logits: list[np.ndarray], known: list[Answers]) -> tuple[list[float], list[np.ndarray]]:
    """Each student's temperature, fitted on validation, and its test logits divided by it."""
    temperatures = [fitted_temperature(each.logits, each.labels) for each in known]
    return temperatures, [each / temperature for each, temperature in zip(logits, temperatures, strict=True)]
