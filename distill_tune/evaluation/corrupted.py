"""Accuracy on inputs that were worsened on purpose, in the manner of MNIST-C and CIFAR-10-C.

Hendrycks and Dietterich 2019 (https://arxiv.org/abs/1903.12261); Mu and Gilmer 2019 (https://arxiv.org/abs/1906.02337).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distill_tune.evaluation.corruptions import SEVERITIES, Corruption
from distill_tune.evaluation.metrics import accuracy
from distill_tune.registry import CORRUPTIONS

Array = NDArray[Any]


def corrupted_accuracy(
    predict: Callable[[Array], Array], inputs: Array, labels: NDArray[np.integer[Any]], seed: int = 0
) -> dict[str, float]:
    """Accuracy by the name of the corruption, each the mean over its severities, and their "mean".

    Args:
        predict: Raw inputs [samples, ...] to logits [samples, classes].
        inputs: uint8 images [samples, channels, height, width] or standardised float rows [samples,
            features].
        labels: [samples].
        seed: Of what is random in the corruptions; students are compared on the same one.
    """
    results = {}
    for name, corruption in corruptions_for(inputs).items():
        worse = [accuracy(predict(corruption.apply(inputs, severity, seed)), labels) for severity in SEVERITIES]
        results[name] = float(np.mean(worse))
    return results | {"mean": float(np.mean(list(results.values())))}


def corruptions_for(inputs: Array) -> dict[str, Corruption]:
    """Every corruption that fits such inputs (images where a sample has more than one axis), by name."""
    images = inputs.ndim > 2
    found: dict[str, Corruption] = {name: CORRUPTIONS.get(name)() for name in CORRUPTIONS.names}
    return {name: entry for name, entry in found.items() if (entry.for_images if images else entry.for_tables)}
