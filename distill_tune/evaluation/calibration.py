"""Temperature scaling: one number that makes a classifier's confidence match its accuracy.

Guo et al., "On Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599:

    p(class | x)  =  softmax(logits / T),      T = argmin  NLL of the validation labels

It changes no prediction. The NLL is convex in 1 / T, with slope  mean(expected logit under p - logit of the label).
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

from distill_tune.evaluation.row_by_row import row_by_row

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

LOWEST, HIGHEST = 0.01, 100.0
"""The bounds of the search for a temperature. A student that is right about every validation sample would get T = 0 and
be infinitely sure of its mistakes elsewhere, one that is worse than chance an infinite T: both stay unscaled. The
bounds widen if logits are smaller than 1 or larger than 100: a teacher's logits, and those of a student that matches
them, may be in any unit."""


def fitted_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature that makes the labels most likely; 1 if none is best or a logit is not finite.

    Args:
        logits: [samples, classes], raw, for samples that the classifier was not trained on.
        labels: [samples].
    """
    logits, labels = np.asarray(logits), np.asarray(labels)
    if not np.isfinite(logits).all() or not (size := float(row_by_row(_deviation, logits).mean())):
        return 1.0
    lowest, highest = LOWEST * min(1.0, size), max(HIGHEST, size)

    def slope(inverse: float) -> float:
        return float(row_by_row(partial(_expected_above_label, inverse), logits, labels).mean())

    if slope(1 / lowest) <= 0 or slope(1 / highest) >= 0:
        return 1.0
    return 1 / float(brentq(slope, 1 / highest, 1 / lowest, xtol=1e-8 / highest))


def _deviation(logits: Floats) -> Floats:
    """[samples]: the standard deviation of each sample's logits."""
    return np.asarray(logits.astype(np.float64).std(axis=1))


def _expected_above_label(inverse: float, logits: Floats, labels: Labels) -> Floats:
    """[samples]: the expected logit under softmax(inverse * logits) minus the label's."""
    values = logits.astype(np.float64)
    values -= values.max(axis=1, keepdims=True)
    expected = (softmax(inverse * values, axis=1) * values).sum(axis=1)
    return np.asarray(expected - values[np.arange(len(labels)), labels])
