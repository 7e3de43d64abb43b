"""A loaded student in Python, on rows that it cannot classify."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.student import LoadedStudent, _pictures_at_a_time


class Divided(nn.Module):
    """Divides by the row's spread, as a user's network may; a row of equal numbers has none."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.stack([-inputs.mean(1), inputs.mean(1) / inputs.std(1, correction=0)], 1)


ENCODER = {
    "columns": ["a", "b"],
    "numbers": [{"name": name, "mean": 0.0, "std": 1.0, "missing": False} for name in "ab"],
    "categories": {},
}


def test_rows_for_which_a_logit_is_not_finite_are_told_of_and_the_others_are_as_without_them() -> None:
    student = LoadedStudent(Divided().eval(), ("no", "yes"), (2,), ENCODER, None)
    rows, told = np.array([[1.0, 2.0], [3.0, 3.0], [0.0, 0.0], [-2.0, -4.0]]), list[str]()
    found = student.probabilities(rows, told.append)
    assert told == [
        "2 rows have a logit that is not finite, the first is row 1; their probabilities are no numbers, and their "
        "class says nothing"
    ]
    assert np.isfinite(found).all(1).tolist() == [True, False, False, True]
    told.clear()
    assert np.array_equal(student.probabilities(rows[[0, 3]], told.append), found[[0, 3]])
    assert student.predict(rows[[0, 3]], told.append) == ["yes", "no"]
    assert not told


def test_a_warning_names_the_line_that_called_this_package() -> None:
    student = LoadedStudent(Divided().eval(), ("no", "yes"), (2,), ENCODER, None)
    unseen = pd.DataFrame({"a": [1.0, None], "b": [2.0, 1.0]})
    for call in (student.inputs, student.probabilities, student.predict):
        with pytest.warns(UserWarning, match="1 row lacks 'a'") as told:
            call(unseen)
        assert {each.filename for each in told} == {__file__}


def test_a_student_is_printed_in_one_line() -> None:
    student = LoadedStudent(nn.Linear(2, 7), tuple("abcdefg"), (2,), ENCODER, None)
    assert repr(student) == "<LoadedStudent with 21 parameters: rows [2] to 7 classes (a, b, c, d, e, ...)>"


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (3, 224, 224), (3, 4000, 6000)])
def test_pictures_that_are_decoded_together_fill_a_quarter_of_a_gigabyte_and_whole_portions(
    shape: tuple[int, ...],
) -> None:
    count, portion = _pictures_at_a_time(shape), samples_at_a_time(shape)
    assert count % portion == 0
    assert count * math.prod(shape) <= 1 << 28 or count == portion
