"""Checks a table of a teacher's logits: one row per row of the data, raw, and finite in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from distill_tune.errors import TeacherError, one_line
from distill_tune.teachers._base import DataSpec
from distill_tune.teachers.probabilities import are_logarithms, refuse_probabilities


def checked_logits(logits: ArrayLike, data_spec: DataSpec, key: str, name: str) -> np.ndarray:
    """`logits` as float32 [num_rows, classes], if valid; log-probabilities are returned minus each row's mean.

    Args:
        logits: the logits as read.
        data_spec: the data that they must fit.
        key: the configuration key that they come from; it begins error messages.
        name: the user's name for them.

    Raises:
        TeacherError: they are not an array, have another shape, are not finite numbers, or are probabilities.
    """
    try:
        found = np.asarray(logits)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged, or a tensor that still has gradients
        raise TeacherError(f"{key}: {name} must be an array of logits, but NumPy says: {one_line(error)}.") from error
    expected = (data_spec.num_rows, len(data_spec.classes))
    if found.shape != expected:
        raise TeacherError(
            f"{key}: {name} must have one row of logits for each row of the data, shape {expected}, "
            f"but has shape {found.shape}; {_way_out(found.shape, expected)}."
        )
    finite = _finite(found, f"{key}: the logits of {name} must be finite numbers")
    refuse_probabilities(finite, f"{key}: {name} holds")
    return finite - finite.mean(1, keepdims=True) if are_logarithms(finite) else finite


def _way_out(shape: tuple[int, ...], expected: tuple[int, int]) -> str:
    rows, classes = expected
    if shape == (classes, rows):
        return "turn it around"
    if len(shape) == 2 and shape[0] == rows:
        return f"write a column for each of the {classes} classes, and no other"
    return "let the teacher label the whole source, in its order"


def _finite(logits: np.ndarray, rule: str) -> np.ndarray:
    """The logits as float32, in which they must be finite."""
    if logits.dtype.kind not in "fiu":
        raise TeacherError(f"{rule}, but are {logits.dtype}; write them as float32.")
    with np.errstate(over="ignore"):
        found = logits.astype(np.float32, copy=False)
    bad = np.argwhere(~np.isfinite(found))
    if len(bad):
        row, column = bad[0]
        raise TeacherError(
            f"{rule} of float32, but row {row} has {logits[row, column]}; let the teacher label it again, or take the "
            "logarithms of probabilities that are clipped, np.log(p.clip(1e-7))."
        )
    return np.asarray(found)
