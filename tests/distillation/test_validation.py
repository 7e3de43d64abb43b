"""Evaluation while training, against NumPy."""

import numpy as np
import pytest
import torch
from torch import nn

from distill_tune.distillation.batches import Shard
from distill_tune.distillation.validation import evaluate


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
    assert evaluate(nn.Identity(), inputs, labels, None, Shard()).keys() == {"accuracy", "loss"}


def test_a_student_is_evaluated_without_dropout() -> None:
    student = nn.Sequential(nn.Dropout(0.9)).train()
    inputs = torch.eye(50) * 9
    assert evaluate(student, inputs, torch.arange(50), None, Shard())["accuracy"] == 1
