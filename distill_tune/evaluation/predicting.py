"""A student's logits and probabilities for arrays of inputs."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

_BATCH = 1000

Array = npt.NDArray[Any]


def predict_logits(student: nn.Module, inputs: Array) -> Array:
    """float32 [n, classes] for inputs [n, *input_shape] in stored units; `student` is in eval mode."""
    with torch.inference_mode():
        batches = torch.from_numpy(np.array(inputs)).split(_BATCH)
        return np.concatenate([student(batch).float().numpy() for batch in batches])


def probabilities(student: nn.Module, inputs: Array) -> Array:
    """float32 [n, classes], rows summing to 1."""
    logits = torch.from_numpy(predict_logits(student, inputs))
    return np.asarray(logits.softmax(1).numpy())
