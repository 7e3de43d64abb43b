"""A logit that is not finite for a test sample costs a student that sample, but not the verdict."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small import VALUES
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.data.dataset import open_test
from distill_tune.evaluation import metrics
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.students import Student, student_on
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict import summary, teacher_summary
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import examine
from distill_tune.tuning.verdict.remarks import not_finite_in_words
from distill_tune.tuning.verdict.verdicts import verdicts_of

LARGEST = torch.finfo(torch.float32).max
Make = Callable[[str, nn.Module], Candidate]


@pytest.fixture
def student(small_space: Space, preparation: Any) -> nn.Module:
    torch.manual_seed(0)
    return student_on(Student.of(small_space.at(VALUES).student), preparation.dataset)


@pytest.fixture
def candidate(small_space: Space, tmp_path: Path) -> Make:
    """`candidate(name, student)`: the same weights for two seeds."""

    def made(name: str, student: nn.Module) -> Candidate:
        weights = tmp_path / f"{name}.safetensors"
        save_file(student.state_dict(), weights)
        return Candidate(
            name, small_space.at(VALUES), [1, 2], TrialRecord(7, "0007", VALUES), {}, {1: weights, 2: weights}
        )

    return made


def overflowing(student: nn.Module, inputs: np.ndarray) -> int:
    """Make a unit overflow for the row with the largest first input, and be 0 for all others; return the row."""
    second, first = np.sort(inputs[:, 0])[-2:]
    assert first > second > 0
    with torch.no_grad():
        layer: Any = next(part for part in student.modules() if isinstance(part, nn.Linear))
        layer.weight[0] = 0
        layer.weight[0, 0] = LARGEST / float((first + second) / 2)
        layer.bias[0] = -LARGEST
    return int(inputs[:, 0].argmax())


def test_a_logit_that_is_not_finite_costs_one_sample_and_not_the_verdict(
    student: nn.Module, candidate: Make, preparation: Any
) -> None:
    test = open_test(preparation.dataset)
    sound = candidate("no_teacher", student)
    row = overflowing(student, test.inputs)
    odd = candidate("trial-0007", student)
    logits = predict_logits(student.eval(), test.inputs)
    assert list(np.flatnonzero(~np.isfinite(logits).all(axis=1))) == [row]
    found = examine([odd, sound], preparation.teacher, preparation.dataset)
    examined = found.by_candidate["trial-0007"]
    undecided = logits.copy()
    undecided[row] = 0
    assert examined.not_finite == 1
    assert examined.nll == pytest.approx(metrics.nll(undecided, test.labels))
    assert examined.accuracy.mean == pytest.approx(metrics.correct(logits, test.labels).mean())
    tests = {name: summary.test_of(each) for name, each in found.by_candidate.items()}
    json.dumps([tests, verdicts_of(odd, ["no_teacher"], found)], allow_nan=False)
    told = {
        "best": {"test": tests["trial-0007"]},
        "baselines": {"no_teacher": {"test": tests["no_teacher"]}},
        "teacher": {"test": {"accuracy": found.teacher_accuracy}},
    }
    (line,) = not_finite_in_words(told)
    assert line.startswith("warning: the winner has a logit that is not finite for 1 test samples (mean over seeds); ")


class Odd(nn.Module):
    """A teacher with NaN logits."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.full((len(inputs), 4), torch.nan)


def test_a_teacher_with_a_logit_that_is_not_finite_is_left_out_of_the_figures(
    student: nn.Module, candidate: Make, preparation: Any
) -> None:
    teacher = replace(preparation.teacher, module=Odd(), table=None)
    found = examine([candidate("trial-0007", student)], teacher, preparation.dataset)
    test = summary.test_of(found.by_candidate["trial-0007"])
    assert found.teacher_accuracy is test["agreement"] is test["kl_to_teacher"] is None
    json.dumps([test, teacher_summary.teacher_of(teacher, found, (8,))], allow_nan=False)
    told = {"best": {"test": test}, "baselines": {}, "teacher": {"test": {"accuracy": found.teacher_accuracy}}}
    (line,) = not_finite_in_words(told)
    assert line.startswith("warning: the teacher has a logit that is not finite for a test sample; ")
