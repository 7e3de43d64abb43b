"""Accuracy on inputs that were worsened on purpose, in the manner of MNIST-C and CIFAR-10-C.

Hendrycks and Dietterich 2019 (https://arxiv.org/abs/1903.12261); Mu and Gilmer 2019 (https://arxiv.org/abs/1906.02337).
At the examination every student meets every corruption at every severity. While students are searched for, each
sample is worsened in some ways only, which together are all of them: see `dealt_out`.
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
"""That are worsened in every way, evenly spread over all; more would cost minutes and hardly move a mean over ways."""
_FEWEST_SAMPLES = 500
_SEED = 0
"""Of what is random in the corruptions: whoever is compared has met the same ones."""
_SEED_OF_SELECTION = 1
"""Another, of what a search selects by: a column's drift is one draw, which test must not share with validation."""
_MOST_VALUES = 1 << 27
"""In the samples that are worsened at a time; on its way each value is some floats."""


def corrupted_accuracies(
    students: Sequence[Callable[[Array], Array]],
    inputs: Array,
    labels: Labels,
    layout: Layout | None = None,
) -> list[dict[str, float]]:
    """For each student, accuracy by the name of the corruption, each the mean over its severities, and their "mean".

    Args:
        students: Each from raw inputs [samples, ...] to logits [samples, classes].
        inputs: uint8 images [samples, channels, height, width] or standardised float rows [samples, features]; of
            more than `MOST_SAMPLES` so many are taken, of photographs fewer.
        labels: [samples].
        layout: Of a table's rows; None where all features are numbers.
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
    """How often `corrupted_accuracies` asks a student about inputs of this shape, [samples, ...]."""
    ways = len(corruptions_for(len(shape), layout)) * len(SEVERITIES)
    return ways * min(shape[0], _most_samples(shape[1:]))


def _most_samples(sample_shape: Sequence[int]) -> int:
    return min(MOST_SAMPLES, max(_FEWEST_SAMPLES, _MOST_VALUES // prod(sample_shape)))


def dealt_out(inputs: Array, labels: Labels, most: int = 4096, layout: Layout | None = None) -> tuple[Array, Labels]:
    """Samples that are worsened in turn by every corruption at every severity, and their labels.

    Right predictions among them are an estimate of the mean of `corrupted_accuracies` for the price of some validation
    pass: about `most` predictions, or fewer where that is each sample in every way. Where there are fewer samples than
    `most`, each is worsened in several ways.
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
    """Every corruption that fits inputs of so many axes (images where a sample has more than one), by name."""
    found: dict[str, Corruption] = {name: CORRUPTIONS.get(name)() for name in CORRUPTIONS.names}
    if num_axes > 2:
        return {name: entry for name, entry in found.items() if entry.for_images}
    has_numbers = layout is None or layout.numbers > 0
    return {name: e for name, e in found.items() if e.for_tables and (has_numbers or not e.of_numbers)}
