"""Detects probabilities given in place of logits: a temperature can soften only differences of logits."""

import numpy as np

from distill_tune.errors import TeacherError

_CLOSELY = 1e-3
"""Tolerances: how far log-probabilities may sum from 1 after exp, and rounding may leave a probability below 0."""
_MOST = 0.9
"""Share of rows, not counting all-zero ones, that settles what all of them are: a few may be corrupted."""
_ROUNDED, _MOST_ROUNDED = 0.01, 0.1
"""How far rows rounded to two digits may sum from 1: this times the root of the number of classes, and at most."""


def refuse_probabilities(outputs: np.ndarray, whose: str) -> None:
    """Refuse outputs [n, classes] if most rows are distributions, or percentages; `whose` begins the error.

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
    """Numbers of the rows that are all 0, such as rows missing from a join and filled by `fillna(0)`."""
    return np.flatnonzero(~outputs.any(1))


def _are_distributions(outputs: np.ndarray, whole: float) -> np.ndarray:
    """Which rows have no number below 0 and sum to `whole`, up to rounding."""
    rounded = min(_ROUNDED * outputs.shape[1] ** 0.5, _MOST_ROUNDED)
    sums, lowest = outputs.sum(1) / whole, outputs.min(1) / whole
    return np.asarray((lowest >= -_CLOSELY) & (np.abs(sums - 1) <= rounded))


def _said_of_empty(rows: np.ndarray) -> str:
    if not len(rows):
        return ""
    return f", after filling the rows that are all 0 ({len(rows):,}, the first is row {rows[0]})"


def are_logarithms(outputs: np.ndarray) -> bool:
    """Whether every row of outputs [n, classes] consists of log-probabilities, as a log-softmax makes them."""
    return bool((outputs <= _CLOSELY).all()) and np.allclose(np.exp(outputs).sum(1), 1, rtol=0, atol=_CLOSELY)
