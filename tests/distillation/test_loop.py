"""The loop: cached and live teachers, resuming, diverging, closing, and the parts that a user brings."""

import gc
import io
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from distill_tune.config import Config, Space
from distill_tune.data import UNLABELLED
from distill_tune.distillation.augmentation import Draw, Transform
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.losses import Loss
from distill_tune.distillation.losses.soft_targets import soft_target_loss
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.optimizers import OptimizerKind
from distill_tune.distillation.training.loop import Checkpoint, Epoch, distill
from distill_tune.errors import TrainingError
from distill_tune.evaluation.corrupted import corrupted_accuracies
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.registry import LOSSES

Make = Callable[..., Space]
Ready = Callable[[Space], tuple[Config, Any]]
Report = dict[str, float]
CORRUPTED_SEARCH = {"objectives": ["val/corrupted_accuracy"]}


def epochs_of(run: tuple[Config, Any], seed: int = 0, resume: Checkpoint | None = None) -> Iterator[Epoch]:
    config, preparation = run
    return distill(config, Materials.open(preparation.prepared, config), seed, resume=resume)


def reports_of(run: tuple[Config, Any], seed: int = 0) -> list[Report]:
    return [untimed(epoch.report) for epoch in epochs_of(run, seed)]


def untimed(report: Report) -> Report:
    return {name: value for name, value in report.items() if "time/" not in name and name != "samples_per_s"}


def weights_after(run: tuple[Config, Any], seed: int = 0) -> dict[str, Tensor]:
    *_, last = epochs_of(run, seed)
    return last.student.state_dict()


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_training_learns_and_says_so(table_space: Make, ready: Ready) -> None:
    reports = reports_of(ready(table_space(search={"max_epochs": 6})))
    assert [report["epoch"] for report in reports] == [1, 2, 3, 4, 5, 6]
    assert reports[-1]["val/accuracy"] > reports[0]["val/accuracy"]
    assert reports[-1]["val/accuracy"] > 0.6  # of four classes
    assert reports[-1]["train/loss"] < reports[0]["train/loss"]
    last = reports[-1]
    assert last["gap/accuracy"] == pytest.approx(last["train/accuracy"] - last["val/accuracy"])


def test_corrupted_accuracy_is_reported_every_epoch_where_it_is_the_objective(table_space: Make, ready: Ready) -> None:
    """So that rungs, targets and an interrupted search find it; nothing else of the training changes."""
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
    """As long as no cached view has come again; up to the rounding of other batch sizes."""
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
    for in_place in (False, True):  # the second would end the process where it wrote into a mapped file
        student = {"family": "odd_students:clipped", "odd_students:clipped": {"in_place": in_place}}
        reports.append(reports_of(ready(table_space(teacher={"mode": mode}, student=student))))
    assert reports[0] == reports[1]


def test_a_live_teacher_is_left_as_it_was(image_space: Make, ready: Ready) -> None:
    config, preparation = ready(image_space(teacher={"mode": "live"}, augmentation={"shift": 1}))
    teacher = preparation.prepared.live_teacher
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    list(epochs_of((config, preparation)))
    assert equal(before, teacher.state_dict())
    assert not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())


def saved_and_read(checkpoint: Checkpoint) -> Checkpoint:
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    read: Checkpoint = torch.load(file, weights_only=True)
    return read


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("loss", [{}, {"temperature_end": 1.0, "soft_weight_end": 0.1, "schedule": "cosine"}], ids=str)
def test_a_run_resumed_after_any_epoch_ends_as_the_undisturbed_one(
    table_space: Make, ready: Ready, optimizer: str, loss: dict[str, Any]
) -> None:
    sections: dict[str, Any] = {"loss": loss, "optim": {"kind": optimizer}, "augmentation": {"mixup": 0.5}}
    run = ready(table_space(student={"mlp": {"widths": [16], "dropout": 0.3}}, search={"max_epochs": 4}, **sections))
    whole = [(untimed(e.report), saved_and_read(e.checkpoint())) for e in epochs_of(run)]
    for done in range(1, 4):
        torch.rand(done)  # whatever else has been drawn meanwhile
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
    gc.disable()  # by counting references alone: nothing waits for a collection
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
    """Not a number from its second epoch on: 360 rows in batches of 64 are five steps."""

    steps: ClassVar[int] = 0

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        type(self).steps += 1
        value = soft_target_loss(student_logits, teacher_logits, temperature)
        return value if self.steps <= 7 else value * float("nan")


def test_a_diverged_run_raises_in_the_epoch_in_which_it_happens(table_space: Make, ready: Ready) -> None:
    Failing.steps = 0
    epochs = epochs_of(ready(table_space(loss={"kind": "test_loop:Failing"})))
    next(epochs)
    with pytest.raises(TrainingError, match="training loss is nan in epoch 2;"):
        next(epochs)


class Told(Loss):
    """A user's own that keeps the temperatures that it was given."""

    temperatures: ClassVar[list[float]] = []

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        type(self).temperatures.append(temperature)
        return soft_target_loss(student_logits, teacher_logits, temperature)


def test_the_temperature_is_at_its_start_in_the_first_step_and_at_its_end_in_the_last(
    table_space: Make, ready: Ready
) -> None:
    Told.temperatures.clear()
    run = ready(table_space(loss={"kind": "test_loop:Told", "temperature": 8.0, "temperature_end": 2.0}))
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
    """The first step has all of the labels' term, the last all of the teacher's."""
    keys = {"soft_weight": 0.0, "soft_weight_end": 1.0}
    *_, last = reports_of(ready(table_space(loss=keys, search={"max_epochs": 6})))
    share = (last["train/loss"] - last["train/hard_loss"]) / (last["train/soft_loss"] - last["train/hard_loss"])
    assert 5 / 6 < share < 1


class Halved(Loss):
    """A user's own."""

    factor: float = 0.5

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        return soft_target_loss(student_logits, teacher_logits, temperature) * self.factor


class Noise(Transform):
    """A user's own, for tables."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs + self.amount * (draw.uniform("noise").unsqueeze(1) - 0.5)


class Plain(OptimizerKind):
    """A user's own."""

    maximize: bool = False

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=learning_rate, maximize=self.maximize)


def test_a_loss_of_ones_own_is_trained_with(table_space: Make, ready: Ready) -> None:
    ours = reports_of(ready(table_space(loss={"kind": "test_loop:Halved", "test_loop:Halved": {"factor": 1.0}})))
    assert ours == reports_of(ready(table_space()))
    halved = reports_of(ready(table_space(loss={"kind": "test_loop:Halved"})))
    assert halved[0]["train/soft_loss"] < 0.7 * ours[0]["train/soft_loss"]


@pytest.mark.parametrize("kind", LOSSES.names)
@pytest.mark.parametrize("augmentation", [{}, {"mixup": 0.5}], ids=str)
def test_every_loss_trains_a_student_that_has_few_labels(
    table_space: Make, image_space: Make, ready: Ready, kind: str, augmentation: dict[str, Any]
) -> None:
    few = {"data": {"student_samples": 100, "rest": "unlabelled"}, "search": {"max_epochs": 8}}
    loss = {"kind": kind, "soft_weight": 0.5}
    space, classes = table_space, 4
    if kind == "attention":  # which needs maps
        space, classes, few["optim"] = image_space, 10, {"batch_size": 64}
    reports = reports_of(ready(space(loss=loss, augmentation=augmentation, **few)))
    assert reports[-1]["val/accuracy"] > 1.6 / classes
    assert ("train/soft_loss" in reports[0]) == LOSSES.get(kind).uses_teacher


def test_an_augmentation_of_ones_own_is_trained_and_labelled_with(table_space: Make, ready: Ready) -> None:
    noisy = {"augmentation": {"test_loop:Noise": 2.0}}
    live = reports_of(ready(table_space(teacher={"mode": "live"}, **noisy)))
    cached = reports_of(ready(table_space(teacher={"views": 3}, **noisy)))
    assert cached[0]["train/loss"] == pytest.approx(live[0]["train/loss"], rel=1e-5)
    assert cached[0]["train/loss"] != pytest.approx(reports_of(ready(table_space()))[0]["train/loss"], rel=1e-3)


def test_an_optimizer_of_ones_own_is_trained_with(table_space: Make, ready: Ready) -> None:
    down, up = (
        reports_of(ready(table_space(optim={"kind": "test_loop:Plain", "test_loop:Plain": {"maximize": maximize}})))
        for maximize in (False, True)
    )
    assert down[-1]["train/loss"] < down[0]["train/loss"]
    assert up[-1]["train/loss"] > up[0]["train/loss"]


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
    """In the first step, that is: an epoch of one batch."""
    keys: dict[str, Any] = {"search": {"max_epochs": 1}}
    plain, smooth = (
        reports_of(ready(table_space(optim={"batch_size": 1024, "label_smoothing": smoothing}, **keys)))[0]
        for smoothing in (0.0, 0.2)
    )
    assert plain["train/soft_loss"] == smooth["train/soft_loss"]
    assert plain["train/hard_loss"] != smooth["train/hard_loss"]


def test_samples_without_labels_are_hidden_or_seen_through_the_teacher(table_space: Make, ready: Ready) -> None:
    def materials(**data: Any) -> Materials:
        config, preparation = ready(table_space(data=data))
        return Materials.open(preparation.prepared, config)

    everything = materials()
    hidden = materials(student_samples=50)
    unlabelled = materials(student_samples=50, rest="unlabelled")
    assert len(everything.labels) == len(unlabelled.labels) > len(hidden.labels) == 50
    assert (hidden.labels != UNLABELLED).all()
    known = unlabelled.labels != UNLABELLED
    assert known.sum() == 50
    assert torch.equal(unlabelled.labels[known], hidden.labels)
    assert torch.equal(unlabelled.train_inputs[known], hidden.train_inputs)
    assert torch.equal(unlabelled.labels[known], everything.labels[known])
    for each in (hidden, unlabelled):
        assert each.teacher is not None
        assert len(each.teacher.logits(0)) == len(each.labels)


def test_the_student_learns_from_samples_without_labels(table_space: Make, ready: Ready) -> None:
    keys: dict[str, Any] = {"loss": {"soft_weight": 0.9}, "search": {"max_epochs": 6}, "augmentation": {"mixup": 0.5}}
    data = {"student_samples": 20, "rest": "unlabelled"}
    reports = reports_of(ready(table_space(data=data, **keys)))
    assert reports[-1]["val/accuracy"] > 0.6
    assert "gap/accuracy" in reports[-1]


@pytest.mark.parametrize("loss", [{"kind": "labels"}, {"soft_weight": 0.0}], ids=str)
@pytest.mark.parametrize("augmentation", [{}, {"mixup": 0.5}], ids=str)
def test_without_the_teacher_samples_without_labels_are_as_good_as_hidden_in_epochs_as_long(
    table_space: Make, ready: Ready, loss: dict[str, Any], augmentation: dict[str, Any]
) -> None:
    """Else a student without a teacher would meet its few labels a few times only, and make a baseline too weak."""
    keys: dict[str, Any] = {"loss": loss, "augmentation": augmentation, "optim": {"batch_size": 32}}
    unlabelled = ready(table_space(data={"student_samples": 64, "rest": "unlabelled"}, **keys))
    visible = len(Materials.open(unlabelled[1].prepared, unlabelled[0]).labels)
    hidden = ready(table_space(data={"student_samples": 64, "passes": round(visible / 64)}, **keys))
    assert visible > 3 * 64
    assert reports_of(unlabelled) == reports_of(hidden)
    assert equal(weights_after(unlabelled), weights_after(hidden))


@pytest.mark.parametrize("batch_size", [16, 48, 96, 256])
def test_epochs_without_the_teacher_are_as_long_whatever_fills_no_batch(
    table_space: Make, ready: Ready, batch_size: int
) -> None:
    data = {"student_samples": 64, "rest": "unlabelled"}
    config, preparation = ready(table_space(data=data, optim={"batch_size": batch_size}))
    materials = Materials.open(preparation.prepared, config)
    taught, alone = (materials.batches(config, 0, Shard(), use_teacher) for use_teacher in (True, False))
    a_pass = alone.samples_per_epoch // alone.passes
    assert abs(alone.samples_per_epoch - taught.samples_per_epoch) <= a_pass / 2


def test_materials_without_a_teacher_refuse_a_loss_that_needs_one(table_space: Make, ready: Ready) -> None:
    from distill_tune.distillation.materials.prepared import Prepared

    config, preparation = ready(table_space())
    materials = Materials.open(Prepared(preparation.dataset.folder, None), config)
    with pytest.raises(ValueError, match="'soft_targets' needs a teacher"):
        list(distill(config, materials, 0))
