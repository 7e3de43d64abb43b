"""A student's logits and probabilities for arrays of inputs."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distill_tune.evaluation.portions import device_of, samples_at_a_time

Array = npt.NDArray[Any]


def predict_logits(student: nn.Module, inputs: Array) -> Array:
    """float32 [n, classes] for inputs [n, *input_shape] in stored units; `student` is in eval mode, on any device."""
    device = device_of(student)
    step = samples_at_a_time(inputs.shape[1:], device.type)
    portions = (
        np.array(inputs[at : at + step]) for at in range(0, max(1, len(inputs)), step)
    )  # never loads a whole memory map
    with torch.no_grad():  # a TorchScript student that has been trained cannot run in inference mode
        return np.concatenate([student(torch.from_numpy(each).to(device)).float().cpu().numpy() for each in portions])


def quickest_look_s(student: nn.Module, inputs: Array) -> float:
    """Seconds that the student takes for `inputs` on its device: the least of three runs."""
    return min(_look_s(student, inputs) for _ in range(3))


def _look_s(student: nn.Module, inputs: Array) -> float:
    began_s = time.perf_counter()
    predict_logits(student, inputs)
    return time.perf_counter() - began_s


def probabilities(student: nn.Module, inputs: Array) -> Array:
    """float32 [n, classes], rows summing to 1."""
    logits = torch.from_numpy(predict_logits(student, inputs))
    return np.asarray(logits.softmax(1).numpy())
