"""What is no logits: a temperature softens differences of logits, and has nothing to soften in probabilities."""

import numpy as np

from distill_tune.errors import TeacherError


def refuse_probabilities(outputs: np.ndarray, whose: str) -> None:
    """Refuse outputs [n, classes] of which every row is a distribution; `whose` begins the error.

    Raises:
        TeacherError: they are probabilities.
    """
    if (outputs >= 0).all() and np.allclose(outputs.sum(1), 1, atol=1e-3):
        raise TeacherError(
            f"{whose} probabilities, which a temperature cannot soften; give raw logits, or the logarithms of the "
            "probabilities."
        )
