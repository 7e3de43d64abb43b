"""What is said beside a verdict."""

import pytest

from distill_tune.tuning.verdict.remarks import weak_teacher_in_words


def summary(teacher: float | None, alone: float | None) -> dict[str, object]:
    baselines = {} if alone is None else {"no_teacher": {"test": {"accuracy": {"mean": alone}}}}
    return {"teacher": {"test": {"accuracy": teacher}}, "baselines": baselines}


def test_a_teacher_that_is_worse_than_the_student_without_it_is_said() -> None:
    (line,) = weak_teacher_in_words(summary(0.672, 0.833))
    assert line.startswith("warning: the teacher has 67.20% on test, and the student without it 83.30%; ")


@pytest.mark.parametrize(("teacher", "alone"), [(0.9, 0.9), (0.95, 0.9), (None, 0.9), (0.5, None)])
def test_of_a_teacher_that_is_as_good_or_unknown_nothing_is_said(teacher: float | None, alone: float | None) -> None:
    assert weak_teacher_in_words(summary(teacher, alone)) == []
