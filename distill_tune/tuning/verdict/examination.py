"""The examination: the test split, opened once, after everything has been chosen.

This is the only place in the program that calls `open_test`. Students are evaluated one after another, and only the
measurements are kept: over many rows and classes, one student's logits take gigabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b, sha256
from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors.torch import load_file
from torch import nn

from distill_tune.config import Config
from distill_tune.data import Dataset, Split
from distill_tune.data.dataset import open_test
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.cache.labelling_pace import threads_that_label_fastest
from distill_tune.distillation.devices import where_there_is_room
from distill_tune.errors import TeacherError
from distill_tune.evaluation import metrics
from distill_tune.evaluation.calibration import fitted_temperature
from distill_tune.evaluation.corrupted import corrupted_accuracies
from distill_tune.evaluation.intervals import Groups
from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.evaluation.predicting import predict_logits, quickest_look_s
from distill_tune.layout import Layout
from distill_tune.students import Student, student_on
from distill_tune.teachers import LoadedTeacher
from distill_tune.threads import faster_threads, threads
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.marks import Examined, Key, Marks, examined, marks_of
from distill_tune.tuning.workers.keeping import fold_weights


@dataclass(frozen=True)
class Examination:
    """All that was learned from the test split."""

    by_candidate: dict[str, Examined]
    teacher_accuracy: float | None
    """None if one of its logits is not finite."""
    member_accuracies: dict[str, float | None]
    """Accuracy of each teacher alone, if there are several."""
    groups: Groups | None = None
    """Which test samples have identical inputs; None if unknown."""


Ask = Callable[[nn.Module, np.ndarray], np.ndarray]
"""Maps a student and inputs [n, *input_shape] in stored units to its logits, float32 [n, classes]."""


class Answers(NamedTuple):
    """Logits and labels of one seed from data other than test."""

    logits: np.ndarray
    labels: np.ndarray


def examine(
    candidates: list[Candidate],
    teacher: LoadedTeacher,
    dataset: Dataset,
    folds: Sequence[Dataset] = (),
    device: str = "cpu",
) -> Examination:
    """Open the test split and measure every candidate in every seed that it was trained in.

    Teacher and students run on `device`. With `folds`, each student is the one trained on all folds, and what is fitted
    on validation uses each fold's samples as predicted by that fold's student, which has not seen them.
    """
    test = open_test(dataset)
    key, groups = Key(test.labels, _labelled(teacher, test, device)), _equal(test.inputs)
    ask = partial(_asked, device)
    alike = _alike(candidates)
    apart = [candidate for candidate in candidates if alike[candidate.name] == candidate.name]
    students = {c.name: [load_student(c.config, dataset, c.weights[seed]) for seed in _seeds(c)] for c in apart}

    def marked(candidate: Candidate) -> Iterator[Marks]:
        for seed, student in zip(_seeds(candidate), students[candidate.name], strict=True):
            temperature = fitted_temperature(*_known(candidate, seed, student, dataset, folds, ask))
            yield marks_of(ask(student, test.inputs), key, temperature)

    with _as_many_threads_as_pay(students, test, device):
        corrupted = _corrupted(students, test, dataset.layout, ask)
        found = {c.name: examined(_seeds(c), list(marked(c)), corrupted[c.name], groups) for c in apart}
    return Examination(
        {name: found[like] for name, like in alike.items()},
        teacher_accuracy=_accuracy(key.teacher_logits, test),
        member_accuracies={
            name: _accuracy(_labelled(member, test, device), test) for name, member in teacher.members.items()
        },
        groups=groups,
    )


def _alike(candidates: Sequence[Candidate]) -> dict[str, str]:
    """Each name to the name of the first candidate with identical student files, which need no second evaluation."""
    first: dict[tuple[str, ...], str] = {}
    return {each.name: first.setdefault(_digests(each), each.name) for each in candidates}


def _digests(candidate: Candidate) -> tuple[str, ...]:
    student = repr(candidate.config.student)
    return student, *(
        f"{seed} {sha256(candidate.weights[seed].read_bytes()).hexdigest()}" for seed in _seeds(candidate)
    )


def _equal(inputs: np.ndarray) -> Groups:
    """[samples], numbers from 0 on: equal samples have the same number."""
    numbers: dict[bytes, int] = {}
    digests = (blake2b(sample.tobytes(), digest_size=16).digest() for sample in inputs)
    return np.array([numbers.setdefault(digest, len(numbers)) for digest in digests])


def _as_many_threads_as_pay(
    students: dict[str, list[nn.Module]], test: Split, device: str
) -> AbstractContextManager[None]:
    some = next((student for each in students.values() for student in each), None)
    if some is None or device != "cpu":
        return nullcontext()
    portion = test.inputs[: samples_at_a_time(test.inputs.shape[1:])]
    return threads(faster_threads(lambda: quickest_look_s(some, portion)))


def _labelled(teacher: LoadedTeacher, test: Split, device: str) -> np.ndarray | None:
    """The teacher's logits; None if one is not finite: no training has seen it, and it must not cost the verdict."""

    def labelled() -> np.ndarray:
        with threads_that_label_fastest(teacher.module, test.inputs):
            return label_inputs(teacher, test.inputs, test.index)

    try:
        return where_there_is_room(device, teacher.module, labelled)
    except TeacherError:
        return None


def _accuracy(teacher_logits: np.ndarray | None, test: Split) -> float | None:
    return None if teacher_logits is None else metrics.accuracy(teacher_logits, test.labels)


def _asked(device: str, student: nn.Module, inputs: np.ndarray) -> np.ndarray:
    return where_there_is_room(device, student, lambda: predict_logits(student, inputs))


def _known(
    candidate: Candidate, seed: int, student: nn.Module, dataset: Dataset, folds: Sequence[Dataset], ask: Ask
) -> Answers:
    """The logits of validation samples, from a student of that seed that has not seen them."""
    if folds:
        return _out_of_fold(candidate, seed, folds, ask)
    validation = dataset.split("validation")
    return Answers(ask(student, validation.inputs), validation.labels)


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
    student = student_on(Student.of(config.student), dataset)
    student.load_state_dict(load_file(weights))
    return student.eval()


def _corrupted(
    students: dict[str, list[nn.Module]], test: Split, layout: Layout | None, ask: Ask
) -> dict[str, list[dict[str, float]]]:
    """Accuracy by corruption for each student of each candidate; the inputs are corrupted once for all of them."""
    everyone = [partial(ask, student) for each in students.values() for student in each]
    found = iter(corrupted_accuracies(everyone, test.inputs, test.labels, layout=layout))
    return {name: [next(found) for _ in each] for name, each in students.items()}
