"""Measure how fast a teacher labels, and on how many threads: threads that share a portion synchronise at every layer.

If other processes keep the cores busy, each wait lasts until the operating system schedules the other thread, and a
network can be forty times as slow on all threads as on one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from distill_tune.distillation.cache.labelling import at_a_time, in_whole_batches
from distill_tune.distillation.devices import in_parts
from distill_tune.evaluation.mode import in_evaluation
from distill_tune.evaluation.portions import device_of
from distill_tune.threads import faster_threads, threads

_A_FEW, _QUICK_S = 32, 0.1
"""A large network takes seconds for a hundred samples; one that is quick on a few is timed on more."""


@contextmanager
def threads_that_label_fastest(module: nn.Module | None, inputs: np.ndarray) -> Iterator[float]:
    """Use the fastest number of threads within the block; yield the seconds per sample, 0 without a network.

    Arguments as for `labelling_s`.
    """
    if module is None:
        yield 0.0
        return
    taken_s: dict[int, float] = {}

    def timed_s() -> float:
        sample_s = taken_s[torch.get_num_threads()] = labelling_s(module, inputs)
        return sample_s

    with threads(faster_threads(timed_s)):
        yield taken_s[torch.get_num_threads()]


def labelling_s(module: nn.Module, inputs: np.ndarray) -> float:
    """Seconds per sample on the network's device, after a warm-up pass that loads kernels.

    Args:
        module: in any mode, which is restored.
        inputs: [samples, *input_shape] in stored units; only some are used.
    """
    some = inputs[: at_a_time(module, inputs.shape[1:])]
    few, many = (torch.from_numpy(each.copy()) for each in (some[: in_whole_batches(module, _A_FEW)], some))
    with in_evaluation(module):
        _look_s(module, few)
        sample_s = _look_s(module, few) / len(few)
        return sample_s if sample_s * len(few) >= _QUICK_S else _look_s(module, many) / len(many)


@torch.inference_mode()
def _look_s(module: nn.Module, inputs: Tensor) -> float:
    began_s = time.perf_counter()
    in_parts(lambda part: module(part.to(device_of(module), copy=True)).cpu(), inputs)  # as it labels
    return time.perf_counter() - began_s
