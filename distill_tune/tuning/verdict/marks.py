"""How a student did on the test split: the figures of one seed, and their aggregate over seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from distill_tune.evaluation import metrics
from distill_tune.evaluation.intervals import Groups, Interval, mean_interval


@dataclass(frozen=True)
class Examined:
    """How one configuration did on the test split, over its seeds."""

    accuracy: Interval
    seeds: list[int]
    correct: np.ndarray
    """bool [seeds, test samples]."""
    nll: float
    ece: float
    brier: float
    worst_class_accuracy: float
    nll_scaled: float
    ece_scaled: float
    scaling_temperature: float
    not_finite: float
    """Test samples for which a logit was not finite."""
    agreement: float | None
    kl_to_teacher: float | None
    """None, like `agreement`, if the teacher's logits are not known."""
    corrupted_accuracy: float
    by_corruption: dict[str, float]


class Key(NamedTuple):
    """What predictions on test are compared with."""

    labels: np.ndarray
    teacher_logits: np.ndarray | None
    """None if one of them is not finite."""


class Marks(NamedTuple):
    """How the student of one seed did."""

    correct: np.ndarray
    """bool [test samples]."""
    figures: dict[str, float | None]
    """By the name of the field of `Examined` that holds the mean over seeds."""


def examined(
    seeds: list[int], marks: list[Marks], corrupted: list[dict[str, float]], groups: Groups | None = None
) -> Examined:
    """Aggregate one configuration from each seed's marks and accuracy by corruption; `groups` as in intervals."""
    correct = np.stack([each.correct for each in marks])
    by_corruption = {name: float(np.mean([each[name] for each in corrupted])) for name in corrupted[0]}
    return Examined(
        accuracy=mean_interval(correct, groups=groups),
        seeds=seeds,
        correct=correct,
        corrupted_accuracy=by_corruption.pop("mean"),
        by_corruption=by_corruption,
        **{name: _mean([each.figures[name] for each in marks]) for name in marks[0].figures},
    )


def _mean(figures: list[Any]) -> Any:
    """Mean over seeds; None if one has none."""
    return None if None in figures else float(np.mean(figures))


def marks_of(logits: np.ndarray, key: Key, temperature: float) -> Marks:
    """The marks of one student's test logits; `temperature` was fitted on its validation logits.

    A single non-finite logit would turn every mean of probabilities into NaN, so for these figures its sample counts as
    one for which the student is undecided between all classes, and right only if the accuracy counts it so.
    """
    correct, worst = metrics.correct(logits, key.labels), metrics.worst_class_accuracy(logits, key.labels)
    agreement = None if key.teacher_logits is None else metrics.agreement(logits, key.teacher_logits)
    is_odd = ~np.isfinite(logits).all(axis=1)
    if is_odd.any():
        logits = np.where(is_odd[:, np.newaxis], 0, logits)
    scaled = logits.astype(np.float64) / temperature  # in float32 the largest would overflow
    figures = {
        "nll": metrics.nll(logits, key.labels),
        "ece": metrics.ece(logits, key.labels, hits=correct),
        "brier": metrics.brier(logits, key.labels),
        "worst_class_accuracy": worst,
        "nll_scaled": metrics.nll(scaled, key.labels),
        "ece_scaled": metrics.ece(scaled, key.labels, hits=correct),
        "scaling_temperature": temperature,
        "not_finite": float(is_odd.sum()),
        "agreement": agreement,
        "kl_to_teacher": None if key.teacher_logits is None else metrics.kl_to_teacher(logits, key.teacher_logits),
    }
    return Marks(correct, figures)
