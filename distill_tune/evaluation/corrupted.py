"""Accuracy on deliberately corrupted inputs, in the manner of MNIST-C and CIFAR-10-C.

Hendrycks and Dietterich 2019 (https://arxiv.org/abs/1903.12261); Mu and Gilmer 2019 (https://arxiv.org/abs/1906.02337).
The final examination applies every corruption at every severity. During the search each sample is corrupted in some
ways only, which together cover all of them: see `dealt_out`.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_tune.evaluation.corruptions import SEVERITIES, Corruption
from distill_tune.evaluation.metrics import accuracy
from distill_tune.layout import Layout
from distill_tune.registry import CORRUPTIONS

Array = NDArray[Any]
Labels = NDArray[np.integer[Any]]

MOST_SAMPLES = 4000
"""Samples that are corrupted in every way, evenly spread; more would cost minutes and hardly change the mean."""
_FEWEST_SAMPLES = 500
_SEED = 0
"""Seed of the corruptions' randomness: all students that are compared meet the same corrupted samples."""
_SEED_OF_SELECTION = 1
"""Another seed for model selection: a column's drift is one draw, which test must not share with validation."""
_MOST_VALUES = 1 << 27
"""Values in the samples that are corrupted at a time; each takes several floats along the way."""


def corrupted_accuracies(
    students: Sequence[Callable[[Array], Array]],
    inputs: Array,
    labels: Labels,
    layout: Layout | None = None,
) -> list[dict[str, float]]:
    """For each student, accuracy by name of corruption, each the mean over its severities, and their overall "mean".

    Args:
        students: Functions from raw inputs [samples, ...] to logits [samples, classes].
        inputs: uint8 images [samples, channels, height, width] or standardised float rows [samples, features]; at
            most `MOST_SAMPLES` of them are used, and fewer of photographs.
        labels: [samples].
        layout: Layout of a table's rows; None if all features are numbers.
    """
    rows = _spread(len(labels), _most_samples(inputs.shape[1:]))
    inputs, labels = inputs[rows], labels[rows]
    found: list[dict[str, float]] = [{} for _ in students]
    for name, corruption in corruptions_for(inputs.ndim, layout).items():
        worse = [corruption.apply(inputs, severity, _SEED, layout) for severity in SEVERITIES]
        for results, predict in zip(found, students, strict=True):
            results[name] = float(np.mean([accuracy(predict(each), labels) for each in worse]))
    return [results | {"mean": float(np.mean(list(results.values())))} for results in found]


def num_worsened(shape: Sequence[int], layout: Layout | None = None) -> int:
    """How many predictions `corrupted_accuracies` asks of a student for inputs of this shape, [samples, ...]."""
    ways = len(corruptions_for(len(shape), layout)) * len(SEVERITIES)
    return ways * min(shape[0], _most_samples(shape[1:]))


def _most_samples(sample_shape: Sequence[int]) -> int:
    return min(MOST_SAMPLES, max(_FEWEST_SAMPLES, _MOST_VALUES // prod(sample_shape)))


def dealt_out(inputs: Array, labels: Labels, most: int = 4096, layout: Layout | None = None) -> tuple[Array, Labels]:
    """Samples corrupted in turn by every corruption at every severity, and their labels.

    The accuracy on them estimates the mean of `corrupted_accuracies` at about the cost of a validation pass: about
    `most` predictions, or fewer if that already covers each sample in every way. If there are fewer samples than
    `most`, each is corrupted in several ways.
    """
    fitting = corruptions_for(inputs.ndim, layout).values()
    ways = [(corruption, severity) for corruption in fitting for severity in SEVERITIES]
    rows = _spread(len(labels), most)
    rounds = min(len(ways), max(1, most // len(rows)))
    parts, kept = [], []
    for number, (corruption, severity) in enumerate(ways):
        mine = np.concatenate([rows[(number + turn) % len(ways) :: len(ways)] for turn in range(rounds)])
        parts.append(corruption.apply(inputs[mine], severity, _SEED_OF_SELECTION, layout))
        kept.append(labels[mine])
    return np.concatenate(parts), np.concatenate(kept)


def _spread(count: int, most: int) -> NDArray[np.integer[Any]]:
    """Positions of at most `most` of `count` samples, evenly spread, ascending."""
    return np.arange(count) if count <= most else np.arange(most) * count // most


def corruptions_for(num_axes: int, layout: Layout | None = None) -> dict[str, Corruption]:
    """Every corruption that fits inputs with `num_axes` axes (images if a sample has more than one), by name."""
    found: dict[str, Corruption] = {name: CORRUPTIONS.get(name)() for name in CORRUPTIONS.names}
    if num_axes > 2:
        return {name: entry for name, entry in found.items() if entry.for_images}
    has_numbers = layout is None or layout.numbers > 0
    return {name: e for name, e in found.items() if e.for_tables and (has_numbers or not e.of_numbers)}
