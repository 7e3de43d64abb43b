"""What is no logits: a temperature softens differences of logits, and has nothing to soften in probabilities."""

import numpy as np

from distill_tune.errors import TeacherError


def refuse_probabilities(outputs: np.ndarray, whose: str) -> None:
    """Refuse outputs [n, classes] of which every row is a distribution, or one in per cent; `whose` begins the error.

    Raises:
        TeacherError: they are probabilities.
    """
    sums = outputs.sum(1)
    if (outputs >= 0).all() and any(np.allclose(sums, whole, rtol=1e-3, atol=0) for whole in (1, 100)):
        raise TeacherError(
            f"{whose} probabilities, which a temperature cannot soften; give raw logits, or the logarithms of the "
            "probabilities, np.log(p.clip(1e-7))."
        )
