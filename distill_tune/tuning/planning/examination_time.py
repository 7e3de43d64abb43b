"""How long the examination of a student on the test split will take: a portion of inputs, timed.

Each student answers the test samples once and a part of them worsened in every way, and what its temperature is fitted
on. For images that is twenty times the test split, and takes as long as some epochs of a training.
"""

from __future__ import annotations

from torch import nn

from distill_tune.config import Config
from distill_tune.data import Dataset
from distill_tune.distillation.devices import device_for, on_device
from distill_tune.evaluation.corrupted import num_worsened
from distill_tune.evaluation.portions import samples_at_a_time
from distill_tune.evaluation.predicting import quickest_look_s
from distill_tune.threads import threads


def examination_s(config: Config, student: nn.Module, dataset: Dataset) -> float:
    """Seconds that the examination of one such student takes, beside those of others."""
    some = dataset.split("train").inputs[: samples_at_a_time(dataset.input_shape)]
    with on_device(device_for(config), student.eval()):
        together_s = quickest_look_s(student, some)
        with threads(1):
            alone_s = quickest_look_s(student, some)
    return num_answers(config, dataset) * min(together_s, alone_s) / len(some)


def num_answers(config: Config, dataset: Dataset) -> int:
    """How often a student is asked in its examination."""
    num_rows = dataset.num_rows
    worsened = num_worsened((num_rows["test"], *dataset.input_shape), dataset.layout)
    known = num_rows["train" if config.data.folds else "validation"]  # by the student of the fold that they are of
    return num_rows["test"] + worsened + known
