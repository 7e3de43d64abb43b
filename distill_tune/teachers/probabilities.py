"""What is no logits: a temperature softens differences of logits, and has nothing to soften in probabilities."""

import numpy as np

from distill_tune.errors import TeacherError

_CLOSELY = 1e-3
"""How far from 1 the sums of probabilities are whose logarithms somebody has taken, and below 0 what is rounded."""
_MOST = 0.9
"""The share of rows, those that are all 0 aside, which shows what they all are: a few may have been spoiled."""
_ROUNDED, _MOST_ROUNDED = 0.01, 0.1
"""How far from 1 the sums of rows are whose numbers have two digits, for each root of a class, and at most."""


def refuse_probabilities(outputs: np.ndarray, whose: str) -> None:
    """Refuse outputs [n, classes] of which most rows are distributions, or such in per cent; `whose` begins the error.

    Raises:
        TeacherError: they are probabilities.
    """
    empty = empty_rows(outputs)
    least = _MOST * (len(outputs) - len(empty))
    if least and any(_are_distributions(outputs, whole).sum() >= least for whole in (1, 100)):
        raise TeacherError(
            f"{whose} probabilities, which a temperature cannot soften; give raw logits, or the logarithms of the "
            f"probabilities, np.log(p.clip(1e-7)){_said_of_empty(empty)}."
        )


def empty_rows(outputs: np.ndarray) -> np.ndarray:
    """The numbers of the rows that are all 0, as those are which a join has not found and `fillna(0)` has filled."""
    return np.flatnonzero(~outputs.any(1))


def _are_distributions(outputs: np.ndarray, whole: float) -> np.ndarray:
    """Which rows have no number below 0 and sum to `whole`, but for rounding."""
    rounded = min(_ROUNDED * outputs.shape[1] ** 0.5, _MOST_ROUNDED)
    sums, lowest = outputs.sum(1) / whole, outputs.min(1) / whole
    return np.asarray((lowest >= -_CLOSELY) & (np.abs(sums - 1) <= rounded))


def _said_of_empty(rows: np.ndarray) -> str:
    if not len(rows):
        return ""
    return f", after filling the rows that are all 0 ({len(rows):,}, the first is row {rows[0]})"


def are_logarithms(outputs: np.ndarray) -> bool:
    """Whether every row of outputs [n, classes] has the logarithms of probabilities, as a log-softmax makes them."""
    return bool((outputs <= _CLOSELY).all()) and np.allclose(np.exp(outputs).sum(1), 1, rtol=0, atol=_CLOSELY)
