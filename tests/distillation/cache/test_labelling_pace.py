"""The number of threads on which a teacher labels: whichever is faster, wherever its outputs go."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from distill_tune.distillation.cache import labelling_pace
from distill_tune.distillation.cache.labelling_pace import labelling_s, threads_that_label_fastest
from distill_tune.threads import threads

ROWS = np.zeros((100, 4), dtype=np.float32)


class Seen(nn.Linear):
    """Records the batch size and the mode of each call."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.sizes: list[int] = []
        self.modes: list[bool] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.sizes.append(len(inputs))
        self.modes.append(self.training)
        return super().forward(inputs)


@pytest.mark.parametrize(("together_s", "alone_s", "expected"), [(1.0, 2.0, 3), (2.0, 1.0, 1)])
def test_a_teacher_labels_on_the_threads_that_are_faster_and_leaves_their_number_as_it_was(
    together_s: float, alone_s: float, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(module: nn.Module, inputs: Any) -> float:
        return alone_s if torch.get_num_threads() == 1 else together_s

    monkeypatch.setattr(labelling_pace, "labelling_s", measured)
    with threads(3):
        with threads_that_label_fastest(nn.Linear(4, 3), ROWS) as sample_s:
            assert torch.get_num_threads() == expected
            assert sample_s == min(together_s, alone_s)
        assert torch.get_num_threads() == 3


def test_a_table_of_logits_is_not_timed() -> None:
    with threads(3), threads_that_label_fastest(None, ROWS) as sample_s:
        assert torch.get_num_threads() == 3
        assert sample_s == 0


@pytest.mark.parametrize("training", [True, False])
def test_a_quick_teacher_is_timed_on_a_portion_as_it_labels_and_left_in_its_mode(training: bool) -> None:
    teacher = Seen().train(training)
    assert labelling_s(teacher, ROWS) > 0
    assert teacher.sizes == [32, 32, 100]
    assert teacher.modes == [False] * 3
    assert teacher.training is training


def test_a_teacher_of_whole_batches_is_timed_on_these() -> None:
    teacher = Seen()
    teacher.fixed_batch = 48  # type: ignore[assignment]  # as an ONNX model declares
    labelling_s(teacher, ROWS)
    assert teacher.sizes == [48, 48, 100]


def test_a_slow_teacher_is_timed_on_a_few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelling_pace, "_QUICK_S", 0.0)
    teacher = Seen()
    labelling_s(teacher, ROWS)
    assert teacher.sizes == [32, 32]
