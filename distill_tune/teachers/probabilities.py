"""What is no logits: a temperature softens differences of logits, and has nothing to soften in probabilities."""

import numpy as np

from distill_tune.errors import TeacherError

_CLOSELY = 1e-3
"""How far from 1 the sums of probabilities are whose logarithms somebody has taken."""
_ROUNDED, _MOST_ROUNDED = 0.01, 0.1
"""How far from 1 the sums of rows are whose numbers have two digits, for each root of a class, and at most."""


def refuse_probabilities(outputs: np.ndarray, whose: str) -> None:
    """Refuse outputs [n, classes] of which every row is a distribution, or one in per cent; `whose` begins the error.

    Raises:
        TeacherError: they are probabilities.
    """
    sums = outputs.sum(1)
    rounded = min(_ROUNDED * outputs.shape[1] ** 0.5, _MOST_ROUNDED)
    if (outputs >= 0).all() and any(np.allclose(sums / whole, 1, rtol=0, atol=rounded) for whole in (1, 100)):
        raise TeacherError(
            f"{whose} probabilities, which a temperature cannot soften; give raw logits, or the logarithms of the "
            "probabilities, np.log(p.clip(1e-7))."
        )


def are_logarithms(outputs: np.ndarray) -> bool:
    """Whether every row of outputs [n, classes] has the logarithms of probabilities, as a log-softmax makes them."""
    return bool((outputs <= _CLOSELY).all()) and np.allclose(np.exp(outputs).sum(1), 1, rtol=0, atol=_CLOSELY)
