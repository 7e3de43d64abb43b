"""The training loop: that it learns, what its reports contain, and cached or live teachers."""

from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from small_trainings import Make, Ready, epochs_of, equal, reports_of, weights_after
from torch import Tensor

from distill_tune.distillation.losses import Loss
from distill_tune.distillation.losses.soft_targets import soft_target_loss
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.loop import distill
from distill_tune.evaluation.corrupted import corrupted_accuracies
from distill_tune.evaluation.predicting import predict_logits

CORRUPTED_SEARCH = {"objectives": ["val/corrupted_accuracy"]}


def test_a_training_learns_and_says_so(table_space: Make, ready: Ready) -> None:
    reports = reports_of(ready(table_space(search={"max_epochs": 6})))
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4, 5, 6]
    assert reports[-1]["val/accuracy"] > reports[0]["val/accuracy"]
    assert reports[-1]["val/accuracy"] > 0.6  # of four classes
    assert reports[-1]["train/loss"] < reports[0]["train/loss"]
    last = reports[-1]
    assert last["gap/accuracy"] == pytest.approx(last["train/accuracy"] - last["val/accuracy"])


def test_corrupted_accuracy_is_reported_every_epoch_where_it_is_the_objective(table_space: Make, ready: Ready) -> None:
    """So that rungs, targets and an interrupted search find it; the rest of the training is unchanged."""
    plain, asked = reports_of(ready(table_space())), reports_of(run := ready(table_space(search=CORRUPTED_SEARCH)))
    assert [
        report | {"val/corrupted_accuracy": asked[i]["val/corrupted_accuracy"]} for i, report in enumerate(plain)
    ] == asked
    *_, last = epochs_of(run)
    validation = run[1].dataset.split("validation")
    student = partial(predict_logits, last.student)
    (measured,) = corrupted_accuracies([student], validation.inputs, validation.labels)
    assert last.report["val/corrupted_accuracy"] == pytest.approx(measured["mean"], abs=0.03)
    assert last.report["val/corrupted_accuracy"] < last.report["val/accuracy"]


def test_the_total_loss_is_the_weighed_sum_of_its_terms(table_space: Make, ready: Ready) -> None:
    for report in reports_of(ready(table_space(loss={"soft_weight": 0.3}))):
        weighed = 0.7 * report["train/hard_loss"] + 0.3 * report["train/soft_loss"]
        assert report["train/loss"] == pytest.approx(weighed, rel=1e-5)


def test_the_same_seed_is_the_same_training_and_another_is_not(table_space: Make, ready: Ready) -> None:
    run = ready(table_space())
    assert reports_of(run, seed=1) == reports_of(run, seed=1)
    assert reports_of(run, seed=1) != reports_of(run, seed=2)


def test_a_soft_weight_of_0_trains_exactly_what_labels_alone_train(table_space: Make, ready: Ready) -> None:
    augmentation = {"mixup": 0.5}
    without = ready(table_space(loss={"kind": "labels"}, augmentation=augmentation))
    weightless = ready(table_space(loss={"soft_weight": 0.0}, augmentation=augmentation))
    assert reports_of(without) == reports_of(weightless)


def test_labels_do_not_matter_where_the_teacher_has_all_the_weight(table_space: Make, ready: Ready) -> None:
    config, preparation = ready(table_space(loss={"soft_weight": 1.0}))
    materials = Materials.open(preparation.prepared, config)
    hidden = Materials(**{**vars(materials), "labels": torch.full_like(materials.labels, 2)})
    trained = [list(distill(config, given, 0))[-1].student.state_dict() for given in (materials, hidden)]
    assert equal(*trained)


@pytest.mark.parametrize("augmentation", [{}, {"shift": 1}, {"mixup": 0.5, "cutout": 2}], ids=str)
def test_a_live_teacher_gives_the_losses_of_a_cached_one(
    image_space: Make, ready: Ready, augmentation: dict[str, Any]
) -> None:
    """Until a cached view repeats, and up to the rounding of different batch sizes."""
    keys: dict[str, Any] = {"augmentation": augmentation}
    cached = reports_of(ready(image_space(teacher={"views": 2}, **keys)))
    live = reports_of(ready(image_space(teacher={"mode": "live"}, **keys)))
    assert len(cached) == 2
    for one, other in zip(cached, live, strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-3)
    assert live[0]["train/soft_loss"] == pytest.approx(cached[0]["train/soft_loss"], rel=1e-5)


@pytest.mark.parametrize("mode", ["cached", "live"])
def test_a_student_that_begins_in_place_trains_as_one_that_does_not(table_space: Make, ready: Ready, mode: str) -> None:
    reports = []
    for in_place in (False, True):  # in place, a write into a mapped file would kill the process
        student = {"family": "odd_students:clipped", "odd_students:clipped": {"in_place": in_place}}
        reports.append(reports_of(ready(table_space(teacher={"mode": mode}, student=student))))
    assert reports[0] == reports[1]


def test_a_student_trains_with_what_it_has_kept_of_its_validation(table_space: Make, ready: Ready) -> None:
    run = ready(table_space(student={"family": "odd_students:keeping"}, optim={"batch_size": 16}))
    assert len(run[1].dataset.split("validation").labels) > 16, "so that it keeps more than of training"
    assert reports_of(run)[-1]["val/accuracy"] > 0.25  # of four classes


def test_a_live_teacher_is_left_as_it_was(image_space: Make, ready: Ready) -> None:
    config, preparation = ready(image_space(teacher={"mode": "live"}, augmentation={"shift": 1}))
    teacher = preparation.prepared.live_teacher
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    list(epochs_of((config, preparation)))
    assert equal(before, teacher.state_dict())
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


class Told(Loss):
    """A custom loss that records the temperatures it is given."""

    temperatures: ClassVar[list[float]] = []

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        type(self).temperatures.append(temperature)
        return soft_target_loss(student_logits, teacher_logits, temperature)


def test_the_temperature_is_at_its_start_in_the_first_step_and_at_its_end_in_the_last(
    table_space: Make, ready: Ready
) -> None:
    run = ready(table_space(loss={"kind": "test_loop:Told", "temperature": 8.0, "temperature_end": 2.0}))
    Told.temperatures.clear()  # drop those of the checks
    list(epochs_of(run))
    whole = list(Told.temperatures)
    assert (whole[0], whole[-1]) == (8.0, 2.0)
    assert whole == sorted(whole, reverse=True)
    steps = len(whole)
    assert whole == pytest.approx([8 - 6 * step / (steps - 1) for step in range(steps)])
    Told.temperatures.clear()
    list(epochs_of(run, resume=next(epochs_of(run)).checkpoint()))
    assert Told.temperatures == whole


def test_the_total_loss_of_an_epoch_has_the_weights_of_its_steps(table_space: Make, ready: Ready) -> None:
    """The first step weights only the labels' term, the last only the teacher's."""
    keys = {"soft_weight": 0.0, "soft_weight_end": 1.0}
    *_, last = reports_of(ready(table_space(loss=keys, search={"max_epochs": 6})))
    share = (last["train/loss"] - last["train/hard_loss"]) / (last["train/soft_loss"] - last["train/hard_loss"])
    assert 5 / 6 < share < 1


def test_a_clipped_step_is_no_longer_than_the_clip(table_space: Make, ready: Ready) -> None:
    optim = {"kind": "sgd", "sgd": {"momentum": 0.0}, "schedule": "constant", "batch_size": 1024}
    once = {"search": {"max_epochs": 1}}

    def weights(rate: float, clip: float | None) -> Tensor:
        keys = {"learning_rate": rate} | ({} if clip is None else {"gradient_clip": clip})
        trained = weights_after(ready(table_space(optim={**optim, **keys}, **once)))
        return torch.cat([weight.flatten() for weight in trained.values()])

    start = weights(1e-20, None)
    assert (weights(1.0, None) - start).norm() > 0.1
    assert (weights(1.0, 0.01) - start).norm() == pytest.approx(0.01, rel=1e-2)


def test_bfloat16_trains_what_float32_trains_roughly_and_keeps_float32_weights(image_space: Make, ready: Ready) -> None:
    exact = ready(image_space(optim={"precision": "float32"}))
    rough = ready(image_space(optim={"precision": "bfloat16"}))
    one, other = reports_of(exact)[0], reports_of(rough)[0]
    assert one["train/loss"] != other["train/loss"]
    assert other["train/loss"] == pytest.approx(one["train/loss"], rel=0.05)
    assert all(weight.dtype != torch.bfloat16 for weight in weights_after(rough).values())


def test_smoothing_of_labels_leaves_the_teachers_term_alone(table_space: Make, ready: Ready) -> None:
    """In the first step only, so the epoch is a single batch."""
    keys: dict[str, Any] = {"search": {"max_epochs": 1}}
    plain, smooth = (
        reports_of(ready(table_space(optim={"batch_size": 1024, "label_smoothing": smoothing}, **keys)))[0]
        for smoothing in (0.0, 0.2)
    )
    assert plain["train/soft_loss"] == smooth["train/soft_loss"]
    assert plain["train/hard_loss"] != smooth["train/hard_loss"]


def test_materials_without_a_teacher_refuse_a_loss_that_needs_one(table_space: Make, ready: Ready) -> None:
    from distill_tune.distillation.materials.prepared import Prepared

    config, preparation = ready(table_space())
    materials = Materials.open(Prepared(preparation.dataset.folder, None), config)
    with pytest.raises(ValueError, match="'soft_targets' needs a teacher"):
        list(distill(config, materials, 0))
