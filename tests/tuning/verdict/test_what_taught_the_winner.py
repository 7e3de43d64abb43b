"""What the summary records of the teacher's part: what the winner has from it, and which logits students saw."""

from typing import Any

import pytest
from small import TABLES

from distill_tune.config import Config, Space
from distill_tune.tuning.verdict import summary, teacher_summary


def config(**sections: Any) -> Config:
    return Space.parse({**TABLES, "student": {"family": "mlp"}, "loss": {}, "optim": {}} | sections).config


INHERITED = {"family": "mlp", "init": "inherit"}


@pytest.mark.parametrize(
    ("sections", "has"),
    [
        ({}, ["terms"]),
        ({"loss": {"kind": "labels"}}, []),
        ({"loss": {"kind": "label_smoothing"}}, []),
        ({"loss": {"kind": "soft_targets", "soft_weight": 0.0}}, []),
        ({"loss": {"kind": "soft_targets", "soft_weight": 0.0, "soft_weight_end": 0.5}}, ["terms"]),
        ({"loss": {"kind": "labels", "also": {"dkd": 0.5}}}, ["terms"]),
        ({"loss": {"kind": "labels"}, "student": {"family": "mlp", "init": "gaussian"}}, []),
        ({"loss": {"kind": "labels"}, "student": INHERITED}, ["weights"]),
        ({"loss": {"kind": "labels"}, "regularization": {"norm_ratio": 0.5}}, ["norm"]),
        ({"student": INHERITED, "regularization": {"norm_ratio": 0.5}}, ["terms", "weights", "norm"]),
    ],
    ids=str,
)
def test_what_the_winner_has_from_its_teacher(sections: dict[str, Any], has: list[str]) -> None:
    assert summary.from_teacher(config(**sections)) == has


@pytest.mark.parametrize(
    ("teacher", "classes", "kept"),
    [
        ({}, 300, None),
        ({}, 301, 100),
        ({"keep": "all"}, 1000, None),
        ({"keep": 3}, 4, 3),
        ({"mode": "live"}, 1000, None),
    ],
    ids=str,
)
def test_how_many_logits_students_learn_from(teacher: dict[str, Any], classes: int, kept: int | None) -> None:
    of_teacher = config(teacher={**TABLES["teacher"], **teacher})
    assert teacher_summary.kept_logits(of_teacher, classes) == kept
