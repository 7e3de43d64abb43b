"""Confidence intervals that know both sources of luck: the training seed and the finite test set.

Bouthillier et al. 2021 (https://arxiv.org/abs/2103.03098) show that an interval over seeds alone, or over
test samples alone, is too narrow. Here the results are a table of seeds by test items, and the variance of
its mean is estimated as

    variance of the seeds' means / seeds  +  variance of the items' means / items

with the degrees of freedom of Welch and Satterthwaite, because few seeds know their own variance badly. What
is left of a result after its seed and its item are accounted for is in both terms, so the sum is a little too
large: the interval is slightly conservative, most where seeds change much of what is predicted and little of
the accuracy.

An accuracy has its interval on the scale of log-odds and is brought back: near 1, where good students are,
luck is lopsided, and plus and minus the same width covered 90 to 93 % at an accuracy of 0.985 on 250 to 360
items in place of 95 % (`tests/evaluation/test_intervals.py` simulates it). Differences are near 0 and need no
such care. What no formula can see is a rare bad seed: where seeds alone spread the accuracy over several
points, five of them cover about 90 %.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtr, stdtrit


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def mean_interval(correct: NDArray[np.bool_], confidence: float = 0.95) -> Interval:
    """Accuracy of a configuration, over seeds that were not drawn and samples that are not in the test set.

    Args:
        correct: [seeds, items], whether the student of that seed is right about that test item; at least two
            of each.
        confidence: Share of such intervals that are meant to hold the true accuracy.

    Returns:
        Fractions inside [0, 1].

    Raises:
        ValueError: fewer than two seeds or items.
    """
    values = _checked(correct)
    half, mean = _half_width(values, confidence), float(values.mean())
    if mean in (0.0, 1.0):
        return Interval(mean, max(0.0, mean - half), min(1.0, mean + half))
    ends = logit(mean) + np.array([-half, half]) / (mean * (1 - mean))
    low, high = expit(ends)
    return Interval(mean, float(low), float(high))


def paired_difference(ours: NDArray[np.bool_], other: NDArray[np.bool_], confidence: float = 0.95) -> Interval:
    """Accuracy of `ours` minus that of `other`, where both met the same seeds and the same test items.

    Args:
        ours: [seeds, items], whether the student of that seed is right about that test item; at least two of
            each.
        other: The same, of what it is compared with.
        confidence: Share of such intervals that are meant to hold the true difference.

    Returns:
        Fractions inside [-1, 1]; above 0 where `ours` is better.

    Raises:
        ValueError: the two differ in shape, or have fewer than two seeds or items.
    """
    table = differences(ours, other)
    half, mean = _half_width(table, confidence), float(table.mean())
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))


def p_value(ours: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """How often luck of seeds and samples alone would make a difference as large: of `paired_difference`'s statistic.

    Below 0.05 just where its 95 % interval leaves 0 out.

    Args:
        ours: as there.
        other: as there.

    Returns:
        Of both sides, in [0, 1].

    Raises:
        ValueError: as there.
    """
    difference = differences(ours, other)
    error, freedom = _error_and_freedom(difference)
    mean = abs(float(difference.mean()))
    if not error:
        return float(min(1.0, 2 * (1 - mean) ** difference.shape[1]))
    return float(2 * stdtr(freedom, -mean / error))


def differences(ours: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[seeds, items] of -1, 0 and 1: 1 where `ours` alone is right.

    Raises:
        ValueError: the two differ in shape, or have fewer than two seeds or items.
    """
    if np.shape(ours) != np.shape(other):
        raise ValueError(f"a paired difference needs equal shapes, but got {np.shape(ours)} and {np.shape(other)}.")
    return _checked(ours) - _checked(other)


def _checked(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    values = np.asarray(correct, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"an interval needs [seeds, items] with at least two of each, but got {values.shape}.")
    return values


def _half_width(values: NDArray[np.float64], confidence: float) -> float:
    error, freedom = _error_and_freedom(values)
    return float(stdtrit(freedom, (1 + confidence) / 2) * error) if error else unseen(values.shape[1], confidence)


def _error_and_freedom(values: NDArray[np.float64]) -> tuple[float, float]:
    """The standard error of the mean, 0 where nothing differs, and its degrees of freedom."""
    seeds, items = values.shape
    parts: Any = np.array([values.mean(1).var(ddof=1) / seeds, values.mean(0).var(ddof=1) / items])
    if parts.sum() < 1e-18:  # rounding only
        return 0.0, 1.0
    return float(np.sqrt(parts.sum())), float(parts.sum() ** 2 / (parts**2 / [seeds - 1, items - 1]).sum())


def unseen(items: int, confidence: float) -> float:
    """How common a result can be that none of `items` showed: the exact binomial bound.

    About 3.7 / items at 95 %. Without it, a student that is right about every item would have an accuracy of
    exactly 1, for certain.
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / items))
