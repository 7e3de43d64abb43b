"""The latency of a student: time for one sample on one thread of this machine's CPU."""

import time
from contextlib import AbstractContextManager
from statistics import median

import torch
from torch import nn

from distill_tune.evaluation.mode import in_evaluation
from distill_tune.threads import threads

WARM_UP = 10


def latency_ms(module: nn.Module, input_shape: tuple[int, ...], is_image: bool, repeats: int = 200) -> float:
    """The median time of one sample, in milliseconds.

    It is measured in evaluation mode, and in inference mode if the student supports it; the modes of `module` and
    torch's number of threads are restored on return. No copy is made: a user-defined student may hold objects that
    cannot be copied, such as a lock.

    Args:
        module: The student on the CPU, including its preprocessing.
        input_shape: The shape of one sample, without the batch.
        is_image: Whether inputs are uint8 (images) or float32 (tables).
        repeats: The number of measurements.
    """
    inputs = torch.zeros(1, *input_shape, dtype=torch.uint8 if is_image else torch.float32)
    with threads(1), in_evaluation(module), _warmed_up(module, inputs):
        return 1e3 * median(_time_s(module, inputs) for _ in range(repeats))


def _warmed_up(module: nn.Module, inputs: torch.Tensor) -> AbstractContextManager[None]:
    """Warm up, and return the mode to run in.

    A TorchScript student fails in inference mode if another has been trained in this process.
    """
    try:
        _run(module, inputs, torch.inference_mode())
    except RuntimeError:
        _run(module, inputs, torch.no_grad())
        return torch.no_grad()
    return torch.inference_mode()


def _run(module: nn.Module, inputs: torch.Tensor, mode: AbstractContextManager[None]) -> None:
    with mode:
        for _ in range(WARM_UP):
            module(inputs)


def _time_s(module: nn.Module, inputs: torch.Tensor) -> float:
    began_s = time.perf_counter()
    module(inputs)
    return time.perf_counter() - began_s
