"""What is said beside a verdict."""

from typing import Any

import pytest

from distill_tune.tuning.verdict.remarks import weak_teacher_in_words


def summary(teacher: float | None, alone: float | None, word: str = "DOES NOT BEAT") -> dict[str, Any]:
    """The student without a teacher has an interval of a point to either side."""
    if alone is None:
        return {"teacher": {"test": {"accuracy": teacher}}, "baselines": {}, "verdict": {}}
    accuracy = {"mean": alone, "low": alone - 0.01, "high": alone + 0.01}
    return {
        "teacher": {"test": {"accuracy": teacher}},
        "baselines": {"no_teacher": {"test": {"accuracy": accuracy}}},
        "verdict": {"no_teacher": {"word": word}},
    }


def test_a_teacher_that_is_surely_worse_than_the_student_without_it_is_said() -> None:
    (line,) = weak_teacher_in_words(summary(0.672, 0.833))
    assert line.startswith("warning: the teacher has 67.20% on test, and the student without it 83.30%; ")


@pytest.mark.parametrize(("teacher", "alone"), [(0.9, 0.9), (0.895, 0.9), (0.95, 0.9), (None, 0.9), (0.5, None)])
def test_of_a_teacher_that_may_be_as_good_or_is_unknown_nothing_is_said(
    teacher: float | None, alone: float | None
) -> None:
    assert weak_teacher_in_words(summary(teacher, alone)) == []


def test_of_a_teacher_that_helps_nothing_is_said() -> None:
    assert weak_teacher_in_words(summary(0.672, 0.833, "BEATS")) == []
