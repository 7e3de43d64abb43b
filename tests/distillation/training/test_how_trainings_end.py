"""A training that is resumed, finishes, is closed early, or diverges."""

import gc
import weakref
from typing import Any, ClassVar

import pytest
import torch
from small_trainings import Make, Ready, epochs_of, equal, saved_and_read, untimed
from torch import Tensor

from distill_tune.distillation.losses import Loss
from distill_tune.distillation.losses.soft_targets import soft_target_loss
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.loop import distill
from distill_tune.errors import TrainingError


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("loss", [{}, {"temperature_end": 1.0, "soft_weight_end": 0.1, "schedule": "cosine"}], ids=str)
def test_a_run_resumed_after_any_epoch_ends_as_the_undisturbed_one(
    table_space: Make, ready: Ready, optimizer: str, loss: dict[str, Any]
) -> None:
    sections: dict[str, Any] = {"loss": loss, "optim": {"kind": optimizer}, "augmentation": {"mixup": 0.5}}
    run = ready(table_space(student={"mlp": {"widths": [16], "dropout": 0.3}}, search={"max_epochs": 4}, **sections))
    whole = [(untimed(e.report), saved_and_read(e.checkpoint())) for e in epochs_of(run)]
    for done in range(1, 4):
        torch.rand(done)  # other random draws in between
        resumed = [
            (untimed(e.report), saved_and_read(e.checkpoint())) for e in epochs_of(run, resume=whole[done - 1][1])
        ]
        assert [report for report, _ in resumed] == [report for report, _ in whole[done:]]
        assert equal(resumed[-1][1]["student"], whole[-1][1]["student"])


def test_a_network_with_batch_statistics_resumes_exactly(image_space: Make, ready: Ready) -> None:
    run = ready(image_space(augmentation={"shift": 1}))
    first, second = ((untimed(e.report), saved_and_read(e.checkpoint())) for e in epochs_of(run))
    (resumed,) = epochs_of(run, resume=first[1])
    assert untimed(resumed.report) == second[0]
    assert equal(resumed.student.state_dict(), second[1]["student"])


def test_a_finished_run_has_no_epoch_left(table_space: Make, ready: Ready) -> None:
    run = ready(table_space())
    *_, last = epochs_of(run)
    assert list(epochs_of(run, resume=last.checkpoint())) == []


def test_closing_the_generator_lets_go_of_everything(table_space: Make, ready: Ready) -> None:
    config, preparation = ready(table_space())
    materials = Materials.open(preparation.prepared, config)
    epochs = distill(config, materials, 0)
    student = weakref.ref(next(epochs).student)
    held = weakref.ref(materials)
    assert student() is not None
    gc.disable()  # so that only reference counts free memory, not the collector
    try:
        epochs.close()  # type: ignore[attr-defined]
        del materials
        assert student() is None
        assert held() is None
    finally:
        gc.enable()


def test_a_rate_beyond_reason_is_a_diverged_run(table_space: Make, ready: Ready) -> None:
    run = ready(table_space(optim={"kind": "sgd", "learning_rate": 1e12}))
    with pytest.raises(TrainingError, match=r"^the (training|validation) loss is (nan|inf) in epoch 1; the run has"):
        list(epochs_of(run))


class Failing(Loss):
    """Turns NaN in its second epoch: 360 rows in batches of 64 are five steps per epoch."""

    steps: ClassVar[int] = 0

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        type(self).steps += 1
        value = soft_target_loss(student_logits, teacher_logits, temperature)
        return value if self.steps <= 7 else value * float("nan")


def test_a_diverged_run_raises_in_the_epoch_in_which_it_happens(table_space: Make, ready: Ready) -> None:
    Failing.steps = 0
    epochs = epochs_of(ready(table_space(loss={"kind": "test_how_trainings_end:Failing"})))
    next(epochs)
    with pytest.raises(TrainingError, match="training loss is nan in epoch 2;"):
        next(epochs)
