"""A student's logits and probabilities for arrays of inputs."""

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.threads import threads

Array = npt.NDArray[Any]


def predict_logits(student: nn.Module, inputs: Array) -> Array:
    """float32 [n, classes] for inputs [n, *input_shape] in stored units; `student` is in eval mode, on any device."""
    device = next(student.parameters(), torch.empty(0)).device
    step = samples_at_a_time(inputs.shape[1:], device.type)
    portions = (np.array(inputs[at : at + step]) for at in range(0, max(1, len(inputs)), step))  # not all of a map
    with torch.inference_mode():
        return np.concatenate([student(torch.from_numpy(each).to(device)).float().cpu().numpy() for each in portions])


def faster_threads(student: nn.Module, inputs: Array) -> int:
    """1, or torch's present number of threads: cores that others keep busy lose more by sharing work than they gain.

    By the quickest of three looks of each at some of the inputs, on the CPU.
    """
    present, some = torch.get_num_threads(), inputs[: samples_at_a_time(inputs.shape[1:])]
    times_s = dict[int, float]()
    for count in (1, present):
        with threads(count):
            times_s[count] = min(_look_s(student, some) for _ in range(3))
    return min(times_s, key=lambda count: times_s[count])


def _look_s(student: nn.Module, inputs: Array) -> float:
    began_s = time.perf_counter()
    predict_logits(student, inputs)
    return time.perf_counter() - began_s


def probabilities(student: nn.Module, inputs: Array) -> Array:
    """float32 [n, classes], rows summing to 1."""
    logits = torch.from_numpy(predict_logits(student, inputs))
    return np.asarray(logits.softmax(1).numpy())
