"""Remarks alongside a verdict."""

from pathlib import Path
from typing import Any

import pytest

from distill_tune.tuning.state.ledger import Ledger
from distill_tune.tuning.state.records import Status, TrialRecord
from distill_tune.tuning.verdict.remarks import (
    failed_in_words,
    kept_in_part_in_words,
    other_beginnings_in_words,
    refusals_in_words,
    weak_teacher_in_words,
)


def summary(teacher: float | None, alone: float | None, word: str = "DOES NOT BEAT") -> dict[str, Any]:
    """A summary; the student without a teacher has an interval of ±1 point."""
    if alone is None:
        return {"teacher": {"test": {"accuracy": teacher}}, "baselines": {}, "verdict": {}}
    accuracy = {"mean": alone, "low": alone - 0.01, "high": alone + 0.01}
    return {
        "teacher": {"test": {"accuracy": teacher}},
        "baselines": {"no_teacher": {"test": {"accuracy": accuracy}}},
        "verdict": {"no_teacher": {"word": word}},
    }


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ({}, "find a better one, or check the order of its classes and what it is given"),
        ({"members": {"a": {}, "b": {}}}, "find a better one, or check"),
        (
            {"multiply_adds": 0},
            "find a better one, or check the order of its classes and the order of its rows (it must be the data's)",
        ),
        (
            {"multiply_adds": 9, "members": {"a": {"multiply_adds": 9}, "b": {"multiply_adds": 0}}},
            "find a better one, or check the order of its classes and what it is given, or the order of its rows",
        ),
        (
            {"multiply_adds": 0, "members": {"a": {"multiply_adds": 9, "weight": 0.0}, "b": {"multiply_adds": 0}}},
            "find a better one, or check the order of its classes and the order of its rows",
        ),
        ({"training": {}}, "train it longer (teacher.train.epochs, and passes where rows are few), or find a better"),
        ({"members": {"a": {}, "b": {"training": {}, "weight": 0.0}}}, "find a better one, or check"),
        (
            {"members": {"a": {}, "b": {"training": {}, "weight": 0.5}}},
            "train it longer (teacher.ensemble.members.b.train.epochs, and passes where rows are few)",
        ),
    ],
)
def test_a_teacher_that_is_surely_worse_than_the_student_without_it_is_said(teacher: dict[str, Any], said: str) -> None:
    found = summary(0.672, 0.833)
    found["teacher"] |= teacher
    (line,) = weak_teacher_in_words(found)
    assert line.startswith(f"warning: the teacher has 67.20% on test, and the student without it 83.30%; {said}")


@pytest.mark.parametrize(("teacher", "alone"), [(0.9, 0.9), (0.895, 0.9), (0.95, 0.9), (None, 0.9), (0.5, None)])
def test_of_a_teacher_that_may_be_as_good_or_is_unknown_nothing_is_said(
    teacher: float | None, alone: float | None
) -> None:
    assert weak_teacher_in_words(summary(teacher, alone)) == []


def test_of_a_teacher_that_helps_nothing_is_said() -> None:
    assert weak_teacher_in_words(summary(0.672, 0.833, "BEATS")) == []


def test_a_winner_that_beats_labels_alone_without_a_teacher_is_no_merit_of_the_teacher() -> None:
    found = summary(0.672, 0.833, "BEATS")
    assert len(weak_teacher_in_words(found | {"best": {"from_teacher": []}})) == 1
    assert weak_teacher_in_words(found | {"best": {"from_teacher": ["terms"]}}) == []


def test_a_default_distillation_from_the_largest_logits_alone_is_said() -> None:
    found = {"teacher": {"kept_logits": 100}, "verdict": {"default_distillation": {}}}
    assert kept_in_part_in_words(found) == [
        "warning: default_distillation learned from the 100 largest logits only, which distorts T = 4; "
        "teacher.keep = 'all' removes this"
    ]
    assert kept_in_part_in_words(found | {"teacher": {"kept_logits": None}}) == []
    assert kept_in_part_in_words(found | {"verdict": {}}) == []


@pytest.mark.parametrize(("learned", "without", "lines"), [(0, 0, 0), (6, 6, 0), (2, 6, 0), (6, 0, 1), (6, 2, 1)])
def test_a_search_that_began_with_more_of_others_than_the_one_beside_it_is_told_of(
    learned: int, without: int, lines: int
) -> None:
    told = other_beginnings_in_words(learned, without)
    assert len(told) == lines
    assert all(f"began with {learned} trials of others" in line and f"with {without};" in line for line in told)


@pytest.mark.parametrize(("refused", "trained", "lines"), [(0, 0, 0), (3, 3, 0), (4, 3, 1), (100, 0, 1)])
def test_a_space_of_which_most_is_refused_is_told_of(refused: int, trained: int, lines: int) -> None:
    ledger = Ledger()
    ends = [(Status.COMPLETED, "")] * trained + [(Status.INFEASIBLE, "over max_parameters 150 (212)")] * refused
    for number, end in enumerate(ends):
        ledger.end(TrialRecord(number, f"{number:04d}", {}), *end)
    said = (
        f"warning: {refused} proposed students were refused, and {trained} trained; the last one: over max_parameters"
    )
    assert [line[: len(said)] for line in refusals_in_words(ledger)] == [said] * lines


def failing(*ends: tuple[str, Status]) -> Ledger:
    """Trials with given optimizers and ends."""
    ledger = Ledger()
    for number, (kind, status) in enumerate(ends):
        message = f"ValueError: {number}." if status is Status.FAILED else ""
        values = {"optim.kind": kind, "optim.learning_rate": 0.1}
        ledger.end(TrialRecord(number, f"{number:04d}", values), status, message)
    return ledger


GOOD, BAD, REFUSED = ("sgd", Status.COMPLETED), ("my:Own", Status.FAILED), ("my:Own", Status.INFEASIBLE)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            (GOOD, BAD, BAD, REFUSED),
            "2 of 3 trials failed, all that had optim.kind my:Own; the first said: ValueErr",
        ),
        ((GOOD, BAD, ("my:Own", Status.STOPPED)), "1 of 3 trials failed; the first said: ValueError: 1; see"),
        (
            (GOOD, BAD, ("sgd", Status.FAILED)),
            "2 of 3 trials failed; the first said: ValueError: 1; see",
        ),
    ],
)
def test_trials_that_failed_beside_others_are_told_of_with_what_they_alone_had(
    ends: tuple[tuple[str, Status], ...], said: str, tmp_path: Path
) -> None:
    (line,) = failed_in_words(failing(*ends), tmp_path)
    assert line.startswith(f"warning: {said}")
    assert line.endswith(f"; see {tmp_path}")
    (line,) = failed_in_words(failing(*ends), tmp_path / "not there")
    assert "; see " not in line


@pytest.mark.parametrize("ends", [(), (GOOD, GOOD), (BAD, BAD), (BAD, REFUSED), (GOOD, REFUSED)])
def test_of_no_failures_and_of_nothing_else_nothing_is_said_here(ends: tuple[tuple[str, Status], ...]) -> None:
    assert failed_in_words(failing(*ends), Path()) == []
