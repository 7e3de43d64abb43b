"""Estimate how long it takes to examine a student on the test split, by timing a portion of inputs.

Each student answers the test samples once, a part of them under every corruption, and the samples that its temperature
is fitted on. For images that is twenty times the test split, which takes as long as some epochs of training.
"""

from __future__ import annotations

import torch
from torch import nn

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.devices import device_for, on_device
from distill_tune.distillation.seeds import generators_kept
from distill_tune.errors import is_short_of_memory
from distill_tune.evaluation.corrupted import num_worsened
from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.evaluation.predicting import quickest_look_s
from distill_tune.students import Student, student_on
from distill_tune.threads import threads


def examination_s(config: Config, dataset: Dataset) -> float:
    """Seconds that the examination of one student of this configuration takes, alongside those of others."""
    with generators_kept(torch.device("cpu")):
        student = student_on(Student.of(config.student), dataset).eval()
    return num_answers(config, dataset) * _answer_s(student, dataset, device_for(config))


def _answer_s(student: nn.Module, dataset: Dataset, device: str) -> float:
    some = dataset.split("train").inputs[: samples_at_a_time(dataset.input_shape, device)]
    try:
        with on_device(device, student):
            took_s = quickest_look_s(student, some)
    except RuntimeError as error:
        if device == "cpu" or not is_short_of_memory(error):
            raise
        return _answer_s(student, dataset, "cpu")  # trials occupy the GPU
    if device == "cpu":
        with threads(1):
            took_s = min(took_s, quickest_look_s(student, some))
    return took_s / len(some)


def num_answers(config: Config, dataset: Dataset) -> int:
    """How many samples a student answers in its examination."""
    num_rows = dataset.num_rows
    worsened = num_worsened((num_rows["test"], *dataset.input_shape), dataset.layout)
    known = num_rows["train" if config.data.folds else "validation"]  # each answered by its own fold's student
    return num_rows["test"] + worsened + known
