"""Metrics of classifiers, from raw logits: NumPy arrays in, numbers out.

Everything is computed in float64 via the log-softmax, so that confident logits neither overflow nor become log(0).
Shapes throughout: logits [samples, classes], labels [samples] with values in [0, classes). Per-sample values are
computed in portions, then averaged over all samples.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_tune.evaluation.row_by_row import row_by_row

Floats = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def correct(logits: Floats, labels: Labels) -> NDArray[np.bool_]:
    """[samples], whether the largest logit is the label's; a row with a NaN is never correct."""
    logits, labels = _checked(logits, labels)
    hits: NDArray[np.bool_] = (logits.argmax(axis=1) == labels) & ~np.isnan(logits).any(axis=1)
    return hits


def accuracy(logits: Floats, labels: Labels) -> float:
    """Share of samples whose largest logit is the label's."""
    return float(correct(logits, labels).mean())


def worst_class_accuracy(logits: Floats, labels: Labels) -> float:
    """The lowest accuracy on the samples of one class, among classes that have samples."""
    hits = correct(logits, labels)
    counts = np.bincount(labels)
    return float((np.bincount(labels, weights=hits)[counts > 0] / counts[counts > 0]).min())


def nll(logits: Floats, labels: Labels) -> float:
    """Mean negative log-likelihood of the labels, in nats: the cross-entropy."""
    logits, labels = _checked(logits, labels)
    return float(-row_by_row(_of_label, logits, labels).mean())


def brier(logits: Floats, labels: Labels) -> float:
    """Mean squared distance between probabilities and one-hot labels, summed over classes; in [0, 2]."""
    logits, labels = _checked(logits, labels)
    return float(row_by_row(_squared_distance, logits, labels).mean())


def ece(logits: Floats, labels: Labels, bins: int = 15, hits: NDArray[np.bool_] | None = None) -> float:
    """Expected calibration error (Guo et al. 2017, https://arxiv.org/abs/1706.04599).

    Samples fall into `bins` intervals of equal width, ((b - 1) / bins, b / bins], by the probability of their predicted
    class; the result is the mean gap between a bin's accuracy and confidence, weighted by its share of samples.
    `hits` says which samples count as right, if not those of `correct`.
    """
    confidence = np.exp(row_by_row(_largest, _checked(logits, labels)[0]))
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    hits = correct(logits, labels) if hits is None else hits
    surplus = np.bincount(bin_of, weights=hits - confidence, minlength=bins)
    return float(np.abs(surplus).sum() / len(labels))


def agreement(student_logits: Floats, teacher_logits: Floats) -> float:
    """Share of samples that both assign to the same class (Stanton et al. 2021, https://arxiv.org/abs/2106.05945)."""
    return accuracy(student_logits, np.asarray(teacher_logits).argmax(axis=1))


def kl_to_teacher(student_logits: Floats, teacher_logits: Floats) -> float:
    """Mean KL(teacher || student) at temperature 1, in nats; never below 0 except by rounding."""
    return float(row_by_row(_kl, np.asarray(student_logits), np.asarray(teacher_logits)).mean())


def _of_label(logits: Floats, labels: Labels) -> Floats:
    found: Floats = _log_softmax(logits)[np.arange(len(labels)), labels]
    return found


def _squared_distance(logits: Floats, labels: Labels) -> Floats:
    distance = np.exp(_log_softmax(logits))
    distance[np.arange(len(labels)), labels] -= 1
    return np.asarray((distance**2).sum(axis=1))


def _largest(logits: Floats) -> Floats:
    return np.asarray(_log_softmax(logits).max(axis=1))


def _kl(student_logits: Floats, teacher_logits: Floats) -> Floats:
    student, teacher = _log_softmax(student_logits), _log_softmax(teacher_logits)
    return np.asarray((np.exp(teacher) * (teacher - student)).sum(axis=1))


def _checked(logits: Floats, labels: Labels) -> tuple[Floats, Labels]:
    """Both as arrays; refuses shapes that NumPy would broadcast into a plausible wrong number."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not len(labels):
        shapes = f"{logits.shape} and {labels.shape}"
        raise ValueError(f"logits [samples, classes] need labels [samples], but got {shapes}.")
    return logits, labels


def _log_softmax(logits: Floats) -> Floats:
    from scipy.special import log_softmax  # here, because every worker imports this file and none needs it

    found: Floats = log_softmax(logits.astype(np.float64), axis=1)
    return found
