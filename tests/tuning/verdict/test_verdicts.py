"""Verdicts on students whose answers are made up: which comparisons count, and over which seeds."""

import numpy as np
import pytest
from small import TABLES, VALUES

from distill_tune.config import Space
from distill_tune.evaluation.significance import holm
from distill_tune.tuning.state.records import TrialRecord
from distill_tune.tuning.verdict.candidate import Candidate
from distill_tune.tuning.verdict.examination import Examination
from distill_tune.tuning.verdict.marks import Examined, Key, examined, marks_of
from distill_tune.tuning.verdict.verdicts import verdicts_of

SEEDS = [5, 6, 7, 8, 9]
LABELS = np.arange(200) % 4
WINNER = Candidate("trial-0007", Space.parse(TABLES).at(VALUES), SEEDS, TrialRecord(7, "0007", VALUES))


def answering(accuracy: float, seeds: list[int]) -> Examined:
    """How students do on test that are right about this share of the samples, in each seed about others."""

    def logits(seed: int) -> np.ndarray:
        is_right = np.random.default_rng([seed, int(1000 * accuracy)]).random(len(LABELS)) < accuracy
        return np.eye(4, dtype=np.float32)[np.where(is_right, LABELS, (LABELS + 1) % 4)]

    marks = [marks_of(logits(seed), Key(LABELS, None), 1.0) for seed in seeds]
    return examined(seeds, marks, [{"mean": 0.5, "noise": 0.5} for _ in seeds])


def examination(**baselines: Examined) -> Examination:
    return Examination({WINNER.name: answering(0.9, SEEDS), **baselines}, teacher_accuracy=None, member_accuracies={})


def test_of_baselines_that_are_one_training_there_is_one_comparison() -> None:
    alone, default = answering(0.86, SEEDS), answering(0.87, SEEDS)
    found = examination(no_teacher=alone, default_distillation=default, searched_no_teacher=alone)
    names = ["no_teacher", "default_distillation", "searched_no_teacher"]
    verdicts = verdicts_of(WINNER, names, found)
    assert {name: each["same_as"] for name, each in verdicts.items()} == {
        **dict.fromkeys(names),
        "searched_no_teacher": "no_teacher",
    }
    for key in ("p_value", "interval_p_value"):
        two = holm({name: verdicts[name][key] for name in names[:2]})
        assert [verdicts[name][f"{key}_holm"] for name in names] == [*two.values(), two["no_teacher"]]
    assert verdicts["searched_no_teacher"] == verdicts["no_teacher"] | {"same_as": "no_teacher"}


def test_a_verdict_says_in_how_many_seeds_it_compares() -> None:
    found = examination(no_teacher=answering(0.8, [*SEEDS[1:], 10]), default_distillation=answering(0.8, SEEDS))
    verdicts = verdicts_of(WINNER, ["no_teacher", "default_distillation"], found)
    assert [each["seeds"] for each in verdicts.values()] == [4, 5]


@pytest.mark.parametrize("label", [0, 3])
def test_a_row_of_logits_that_are_not_finite_is_no_calibrated_guess_at_the_first_class(label: int) -> None:
    """It is undecided between four classes, and as wrong as the accuracy says it is."""
    logits, labels = np.full((8, 4), np.nan, dtype=np.float32), np.full(8, label)
    figures = marks_of(logits, Key(labels, None), 1.0).figures
    assert (figures["ece"], figures["ece_scaled"]) == pytest.approx((0.25, 0.25))
