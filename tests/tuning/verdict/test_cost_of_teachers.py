"""What a teacher costs to run, in `summary.json`: counted if possible, else null."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distill_tune.teachers import LoadedTeacher
from distill_tune.teachers.mixing import Mix
from distill_tune.tuning.verdict import teacher_summary

SMALL = LoadedTeacher(parameters=36, module=nn.Linear(8, 4))
LARGE = LoadedTeacher(parameters=9 * 16 + 17 * 4, module=nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)))
LOGITS = LoadedTeacher(parameters=0, table=np.zeros((5, 4), dtype=np.float32))


class Elsewhere(nn.Module):
    """A network computed by NumPy, as ONNX Runtime computes an ONNX teacher."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.from_numpy(inputs.numpy() @ np.ones((8, 4), dtype=np.float32))


OUTSIDE = LoadedTeacher(parameters=32, module=Elsewhere())


def told(teacher: LoadedTeacher) -> dict[str, Any]:
    accuracies = dict.fromkeys(teacher.members, 0.5)
    examination = SimpleNamespace(teacher_accuracy=0.5, member_accuracies=accuracies)
    return teacher_summary.teacher_of(teacher, cast("Any", examination), (8,))


@pytest.mark.parametrize(("teacher", "expected"), [(SMALL, 32), (LARGE, 192), (LOGITS, 0), (OUTSIDE, None)])
def test_a_network_is_counted_unless_it_runs_outside_pytorch(teacher: LoadedTeacher, expected: int | None) -> None:
    assert told(teacher)["multiply_adds"] == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"small": 0.5, "large": 0.5}, 224),
        ({"large": 1.0}, 192),
        ({"small": 0.5, "logits": 0.5}, 32),
        ({"small": 0.5, "outside": 0.5}, None),
    ],
)
def test_of_several_it_is_the_sum_over_those_in_the_mix(weights: dict[str, float], expected: int | None) -> None:
    members = {"small": SMALL, "large": LARGE, "logits": LOGITS, "outside": OUTSIDE}
    found = told(LoadedTeacher(parameters=0, members=members).mixed(Mix(weights, "logits")))
    assert found["multiply_adds"] == expected
    assert {name: member["multiply_adds"] for name, member in found["members"].items()} == {
        "small": 32,
        "large": 192,
        "logits": 0,
        "outside": None,
    }
