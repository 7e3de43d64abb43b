"""Confidence intervals that account for both sources of luck: the training seed and the finite test set.

Bouthillier et al. 2021 (https://arxiv.org/abs/2103.03098) show that an interval over seeds alone, or over test samples
alone, is too narrow. Here the results are a table of seeds by test items, and the variance of its mean is estimated as

    variance of the seeds' means / seeds  +  variance of the items' means / items

with the degrees of freedom of Welch and Satterthwaite, because a few seeds estimate their own variance badly. With
fewer than five seeds even those are unreliable: seeds that happen to lie close together count as known. Then the
quantiles of both terms are weighted by their variances (Cochran and Cox, "Experimental Designs", 1950), which covers as
it should where the former covers 89 % with two seeds and 93 % with three. The residual of a result, beyond its seed and
its item, is in both terms, so the sum is a little too large: the interval is slightly conservative, most so if seeds
change many predictions but hardly the accuracy.

Duplicates of one input are answered alike, and together tell no more than one of them: their deviations are summed
before the items' variance is taken, as for clusters (Cameron and Miller 2015, https://doi.org/10.3368/jhr.50.2.317).

The interval of an accuracy is computed on the log-odds scale and transformed back: near 1, where good students are,
luck is lopsided, and a symmetric interval covered 90 to 93 % instead of 95 % at an accuracy of 0.985 on 250 to 360
items (`tests/evaluation/test_intervals.py` simulates it). Differences are near 0 and need no such care. What no formula
can see is a rare bad seed: if seeds alone spread the accuracy over several points, five of them cover about 90 %.
"""

from dataclasses import dataclass
from functools import cached_property
from math import exp, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, stdtr, stdtrit

Groups = NDArray[np.integer[Any]]
"""[items], numbered from 0: items with the same number are the same input."""

CONFIDENCE = 0.95
"""Share of the intervals that should contain the true value."""
_FEW_SEEDS = 5
_SMALLEST_TAIL = 1e-15


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def mean_interval(correct: NDArray[np.bool_], groups: Groups | None = None) -> Interval:
    """Accuracy of a configuration, generalised to seeds that were not drawn and samples outside the test set.

    Args:
        correct: [seeds, items], whether the student of that seed is right about that test item; at least two
            of each.
        groups: Which items are the same input; None if none are.

    Returns:
        Fractions inside [0, 1].

    Raises:
        ValueError: fewer than two seeds or items.
    """
    values = _checked(correct)
    half, mean = _half_width(_grouped(values, groups), CONFIDENCE), float(values.mean())
    if mean in (0.0, 1.0):
        return Interval(mean, max(0.0, mean - half), min(1.0, mean + half))
    ends = logit(mean) + np.array([-half, half]) / (mean * (1 - mean))
    low, high = expit(ends)
    return Interval(mean, float(low), float(high))


def paired_difference(
    ours: NDArray[np.bool_], other: NDArray[np.bool_], confidence: float = CONFIDENCE, groups: Groups | None = None
) -> Interval:
    """Accuracy of `ours` minus that of `other`, on the same seeds and the same test items.

    Args:
        ours: [seeds, items], whether the student of that seed is right about that test item; at least two of
            each.
        other: The same for what it is compared with.
        confidence: Share of such intervals that should contain the true difference.
        groups: Which items are the same input; None if none are.

    Returns:
        Fractions inside [-1, 1]; above 0 if `ours` is better.

    Raises:
        ValueError: the two differ in shape, or have fewer than two seeds or items.
    """
    table = differences(ours, other, groups)
    half, mean = _half_width(table, confidence), float(table.mean())
    return Interval(mean, max(-1.0, mean - half), min(1.0, mean + half))


def p_value(ours: NDArray[np.bool_], other: NDArray[np.bool_], groups: Groups | None = None) -> float:
    """The p-value of `paired_difference`: how often luck of seeds and samples alone makes as large a difference.

    Below 0.05 exactly if its 95 % interval excludes 0.

    Args:
        ours: As in `paired_difference`.
        other: As in `paired_difference`.
        groups: As in `paired_difference`.

    Returns:
        The two-sided p-value, in [0, 1].

    Raises:
        ValueError: as in `paired_difference`.
    """
    table = differences(ours, other, groups)
    luck, mean = _Luck(table), abs(float(table.mean()))
    if not luck.error:
        return float(min(1.0, 2 * (1 - mean) ** table.shape[1]))
    return 2 * luck.tail(mean / luck.error)


def differences(ours: NDArray[np.bool_], other: NDArray[np.bool_], groups: Groups | None = None) -> NDArray[np.float64]:
    """[seeds, items] of -1, 0 and 1: 1 if `ours` alone is right; with `groups`, one column per group.

    Raises:
        ValueError: the two differ in shape, or have fewer than two seeds or items.
    """
    if np.shape(ours) != np.shape(other):
        raise ValueError(f"a paired difference needs equal shapes, but got {np.shape(ours)} and {np.shape(other)}.")
    return _grouped(_checked(ours) - _checked(other), groups)


def _checked(correct: NDArray[np.bool_]) -> NDArray[np.float64]:
    values = np.asarray(correct, dtype=np.float64)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"an interval needs [seeds, items] with at least two of each, but got {values.shape}.")
    return values


def _grouped(values: NDArray[np.float64], groups: Groups | None) -> NDArray[np.float64]:
    """[seeds, groups]: keeps the seeds' means, while each column varies like the sum over its items."""
    items = values.shape[1]
    count = items if groups is None else int(groups.max()) + 1
    if groups is None or count in (1, items):  # a single input would say nothing
        return values
    mean = values.mean()
    sums = np.stack([np.bincount(groups, row, minlength=count) for row in values - mean])
    return np.asarray(mean + sums * (count / items))


def _half_width(values: NDArray[np.float64], confidence: float) -> float:
    luck = _Luck(values)
    return luck.factor((1 - confidence) / 2) * luck.error if luck.error else unseen(values.shape[1], confidence)


class _Luck:
    """How much of the variance of the mean of [seeds, items] comes from its seeds and from its items."""

    def __init__(self, values: NDArray[np.float64]):
        counts = np.array(values.shape)
        self._is_of_few = values.shape[0] < _FEW_SEEDS
        self._parts: Any = np.array([values.mean(1).var(ddof=1), values.mean(0).var(ddof=1)]) / counts
        self._freedoms = counts - 1

    @cached_property
    def error(self) -> float:
        """The standard error; 0 if nothing differs."""
        variance = float(self._parts.sum())
        return 0.0 if variance < 1e-18 else variance**0.5  # rounding only

    def factor(self, tail: float) -> float:
        """The number of standard errors beyond which `tail`, a share below one half, lies at each end."""
        if self._is_of_few:
            return float(-(self._parts * stdtrit(self._freedoms, tail)).sum() / self._parts.sum())
        return float(-stdtrit(self._freedom, tail))

    def tail(self, factor: float) -> float:
        """The inverse of `factor`."""
        if not self._is_of_few:
            return float(stdtr(self._freedom, -factor))
        if factor >= self.factor(_SMALLEST_TAIL):
            return 0.0
        if factor <= 0:
            return 0.5
        return exp(brentq(lambda each: self.factor(exp(each)) - factor, log(_SMALLEST_TAIL), log(0.5), xtol=1e-12))

    @cached_property
    def _freedom(self) -> float:
        """The degrees of freedom of Welch and Satterthwaite."""
        return float(self._parts.sum() ** 2 / (self._parts**2 / self._freedoms).sum())


def unseen(items: int, confidence: float) -> float:
    """How common a result can be that none of `items` showed: the exact binomial bound.

    About 3.7 / items at 95 %. Without it, a student that is right about every item would have an accuracy of exactly 1
    with certainty.
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / items))
