"""Evaluation during training, against NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.training.validation import evaluate, share_right


@pytest.mark.parametrize("count", [1, 999, 1000, 2345])
def test_accuracy_loss_and_agreement_are_what_numpy_computes(count: int) -> None:
    generator = torch.Generator().manual_seed(count)
    inputs, teacher = torch.randn(2, count, 6, generator=generator).unbind()
    labels = torch.randint(6, (count,), generator=generator)
    metrics = evaluate(nn.Identity(), inputs, labels, teacher, Shard())
    logits = inputs.double().numpy()
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    assert metrics["accuracy"] == pytest.approx((logits.argmax(1) == labels.numpy()).mean())
    assert metrics["loss"] == pytest.approx(-log_p[np.arange(count), labels].mean(), rel=1e-5)
    assert metrics["agreement"] == pytest.approx((logits.argmax(1) == teacher.numpy().argmax(1)).mean())
    assert evaluate(nn.Identity(), inputs, labels, None, Shard()).keys() == {"accuracy", "loss", "worst_class_accuracy"}
    assert share_right(nn.Identity(), inputs, labels, Shard()) == metrics["accuracy"]


def test_a_student_is_not_right_about_a_worsened_sample_for_which_it_has_no_numbers() -> None:
    logits = torch.tensor([[0.0, torch.nan, 1.0], [torch.nan] * 3, [0.0, 1.0, 2.0], [torch.inf, 0.0, 0.0]])
    assert share_right(nn.Identity(), logits, torch.tensor([1, 0, 2, 0]), Shard()) == 0.5


@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 1, 3], [2] * 6, [0, 1, 2, 3, 0, 1]])
def test_the_worst_class_is_the_worst_of_those_that_have_samples(labels: list[int]) -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    right = logits.argmax(1).numpy() == np.array(labels)
    expected = min(right[np.array(labels) == each].mean() for each in set(labels))
    metrics = evaluate(nn.Identity(), logits, torch.tensor(labels), None, Shard())
    assert metrics["worst_class_accuracy"] == pytest.approx(expected)


def test_a_student_is_evaluated_without_dropout() -> None:
    student = nn.Sequential(nn.Dropout(0.9)).train()
    inputs = torch.eye(50) * 9
    assert evaluate(student, inputs, torch.arange(50), None, Shard())["accuracy"] == 1
