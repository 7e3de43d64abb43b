"""P-values to accompany the interval: McNemar's exact test per seed, one for all seeds, and Holm's correction.

McNemar, "Note on the Sampling Error of the Difference between Correlated Proportions", Psychometrika 12, 1947;
recommended by Dietterich, Neural Computation 10, 1998, as the test for two classifiers on one test set. If the two are
equally good, each item that exactly one of them gets right is as likely to be right in one as in the other:

    p  =  2 P(X <= min(b, c)),   X ~ Binomial(b + c, 1/2),   at most 1

Seeds meet the same items, so their p-values are dependent and their counts must not be added up. Twice the median of
the p-values is a p-value under any dependence (Meinshausen, Meier, Bühlmann 2009, https://arxiv.org/abs/0811.2177).
It concerns the students that were trained; only the interval, which decides the verdict, includes seed luck.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr


def mcnemar(ours: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """The exact two-sided p-value of "both are right equally often"; 1 if they are right about the same items.

    Args:
        ours: [items], whether it is right about that item.
        other: The same for what it is compared with.
    """
    only_ours, only_other = int((ours & ~other).sum()), int((other & ~ours).sum())
    differing = only_ours + only_other
    return min(1.0, 2 * float(bdtr(min(only_ours, only_other), differing, 0.5))) if differing else 1.0


def pooled_mcnemar(ours: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """One p-value for [seeds, items]: twice the median of `mcnemar` over seeds, at most 1; with one seed, its own.

    Raises:
        ValueError: the two differ in shape, or have no seeds.
    """
    if np.shape(ours) != np.shape(other) or np.ndim(ours) != 2 or not len(ours):
        raise ValueError(
            f"a paired test needs equal shapes [seeds, items], but got {np.shape(ours)}, {np.shape(other)}."
        )
    values = [mcnemar(mine, theirs) for mine, theirs in zip(ours, other, strict=True)]
    return values[0] if len(values) == 1 else min(1.0, 2 * float(np.median(values)))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """P-values by name, corrected for multiple comparisons (Holm, Scandinavian Journal of Statistics 6, 1979).

    The smallest of m is multiplied by m, the next by m - 1, ...; none ends below a previous one or above 1.
    """
    corrected: dict[str, float] = {}
    lowest = 0.0
    for number, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        lowest = max(lowest, min(1.0, (len(p_values) - number) * p_values[name]))
        corrected[name] = lowest
    return {name: corrected[name] for name in p_values}
