"""Temperature scaling: one number that makes a classifier as sure as it is right.

Guo et al., "On Calibration of Modern Neural Networks", 2017, https://arxiv.org/abs/1706.04599:

    p(class | x)  =  softmax(logits / T),      T = argmin  NLL of the validation labels

It changes no prediction. The NLL is convex in 1 / T, with the slope  mean(expected logit under p - logit of the label).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import softmax

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]

LOWEST, HIGHEST = 0.01, 100.0
"""Between which a temperature is looked for. A student that is right about every validation sample would be told T = 0
and be infinitely sure of its mistakes on others, one that is worse than chance an infinite T: both stay as they are."""


def fitted_temperature(logits: Floats, labels: Labels) -> float:
    """The temperature that makes the labels most likely; 1 where none from 0.01 to 100 does, or a logit is not finite.

    Args:
        logits: [samples, classes], raw; of samples that the classifier was not trained on.
        labels: [samples].
    """
    values = np.asarray(logits, dtype=np.float64)
    if not np.isfinite(values).all():
        return 1.0
    values = values - values.max(axis=1, keepdims=True)
    of_label = values[np.arange(len(labels)), labels]

    def slope(inverse: float) -> float:
        return float(((softmax(inverse * values, axis=1) * values).sum(axis=1) - of_label).mean())

    if slope(1 / LOWEST) <= 0 or slope(1 / HIGHEST) >= 0:
        return 1.0
    return 1 / float(brentq(slope, 1 / HIGHEST, 1 / LOWEST, xtol=1e-10))
