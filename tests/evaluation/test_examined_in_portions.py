"""Examining many samples of many classes: the figures of whole matrices, in the memory of a few."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from runs import run_space
from safetensors.torch import save_file
from scipy.optimize import brentq
from scipy.special import log_softmax, softmax

from distill_tune.config import Config, Space
from distill_tune.data.dataset import open_test
from distill_tune.evaluation import metrics
from distill_tune.evaluation.calibration import HIGHEST, LOWEST, fitted_temperature
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.students import Student, student_on
from distill_tune.teachers import LoadedTeacher
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import examine, load_student

SEEDS = [1, 2, 3, 4, 5]
BLOBS = {"samples": 20_000, "features": 10, "classes": 200, "informative": 9, "separation": 2.0}


@contextmanager
def peak_bytes() -> Iterator[list[int]]:
    found = list[int]()
    tracemalloc.start()
    try:
        yield found
        found.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def whole(logits: Any, labels: Any, teacher: Any) -> dict[str, float]:
    """The metrics by definition, on whole matrices in float64."""
    logs, rows = log_softmax(logits.astype(np.float64), axis=1), np.arange(len(labels))
    taught = log_softmax(teacher.astype(np.float64), axis=1)
    distance = np.exp(logs)
    distance[rows, labels] -= 1
    return {
        "nll": float(-logs[rows, labels].mean()),
        "brier": float((distance**2).sum(axis=1).mean()),
        "kl_to_teacher": float((np.exp(taught) * (taught - logs)).sum(axis=1).mean()),
    }


def whole_temperature(logits: Any, labels: Any) -> float:
    values = logits.astype(np.float64)
    values = values - values.max(axis=1, keepdims=True)
    of_label = values[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * values, axis=1) * values).sum(axis=1) - of_label).mean())

    return 1 / float(brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-10))


@pytest.mark.parametrize("classes", [2, 1000, 70_000])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_portions_change_no_digit(classes: int, kind: str) -> None:
    random, samples = np.random.default_rng(classes), 150_000 // classes + 3
    logits, teacher = (3 * random.standard_normal((2, samples, classes))).astype(kind)
    labels = random.integers(classes, size=samples)
    labels[: samples // 2] = logits[: samples // 2].argmax(1)  # half are right, so that a temperature exists
    expected = whole(logits, labels, teacher)
    assert metrics.nll(logits, labels) == expected["nll"]
    assert metrics.brier(logits, labels) == expected["brier"]
    assert metrics.kl_to_teacher(logits, teacher) == expected["kl_to_teacher"]
    assert fitted_temperature(logits, labels) == whole_temperature(logits, labels)


@pytest.fixture(scope="module")
def examined(ready: Callable[[Space], tuple[Config, Any]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Untrained students examined on data of 200 classes, and the examination's peak memory."""
    space = run_space(data={"blobs": BLOBS, "test": 0.4}, teacher={"train": {"epochs": 1}})
    config, preparation = ready(space)
    dataset, folder = preparation.dataset, tmp_path_factory.mktemp("weights")
    candidate = Candidate("one", config, SEEDS, TrialRecord(0, "0000", {}))
    for seed in SEEDS:
        candidate.weights[seed] = folder / f"{seed}.safetensors"
        save_file(student_on(Student.of(config.student), dataset).state_dict(), candidate.weights[seed])
    table = np.random.default_rng(0).standard_normal((dataset.num_source_rows, 200)).astype(np.float32)
    teacher = LoadedTeacher(parameters=0, table=table)
    with peak_bytes() as peak:
        found = examine([candidate], teacher, dataset).by_candidate["one"]
    return {"found": found, "peak": peak[0], "candidate": candidate, "dataset": dataset, "table": table}


def test_all_seeds_take_the_memory_of_a_few_matrices(examined: dict[str, Any]) -> None:
    matrix = examined["dataset"].num_rows["test"] * 200 * 4
    assert examined["peak"] < 5 * matrix


def test_the_figures_are_the_means_over_seeds_of_what_each_student_answers(examined: dict[str, Any]) -> None:
    dataset, candidate, found = examined["dataset"], examined["candidate"], examined["found"]
    test, validation = open_test(dataset), dataset.split("validation")
    taught, each = examined["table"][test.index], list[dict[str, float]]()
    for seed in SEEDS:
        student = load_student(candidate.config, dataset, candidate.weights[seed])
        logits, known = predict_logits(student, test.inputs), predict_logits(student, validation.inputs)
        temperature = fitted_temperature(known, validation.labels)
        scaled = metrics.nll(logits.astype(np.float64) / temperature, test.labels)
        figures = {"nll_scaled": scaled, "scaling_temperature": temperature, "ece": metrics.ece(logits, test.labels)}
        each.append({**figures, **whole(logits, test.labels, taught)})
        assert (found.correct[len(each) - 1] == (logits.argmax(1) == test.labels)).all()
    for name in each[0]:
        assert getattr(found, name) == np.mean([figures[name] for figures in each]), name
