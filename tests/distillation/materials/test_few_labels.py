"""Samples without labels: hidden, or shown with the teacher's outputs, from which the student can learn."""

from typing import Any

import pytest
import torch
from small_trainings import Make, Ready, equal, reports_of, weights_after

from distill_tune.config.sections import AugmentationConfig
from distill_tune.data import UNLABELLED
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.views import Views
from distill_tune.registry import LOSSES


@pytest.mark.parametrize("kind", LOSSES.names)
@pytest.mark.parametrize("augmentation", [{}, {"mixup": 0.5}], ids=str)
def test_every_loss_trains_a_student_that_has_few_labels(
    table_space: Make, image_space: Make, ready: Ready, kind: str, augmentation: dict[str, Any]
) -> None:
    few = {"data": {"student_samples": 100, "rest": "unlabelled"}, "search": {"max_epochs": 8}}
    loss = {"kind": kind, "soft_weight": 0.5}
    space, classes = table_space, 4
    if kind == "attention":  # it needs maps
        space, classes, few["optim"] = image_space, 10, {"batch_size": 64}
    reports = reports_of(ready(space(loss=loss, augmentation=augmentation, **few)))
    assert reports[-1]["val/accuracy"] > 1.6 / classes
    assert ("train/soft_loss" in reports[0]) == LOSSES.get(kind).uses_teacher


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
    """Otherwise a student without a teacher would see its few labels only a few times: too weak a baseline."""
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


@pytest.mark.parametrize(("name", "copies"), [("pictures", False), ("rows", True)])
def test_some_of_the_samples_are_seen_as_if_there_were_no_others(name: str, copies: bool) -> None:
    """Pictures must not be copied: they may be in files too large for memory."""
    everything = {"pictures": torch.randint(256, (9, 3, 6, 6)).byte(), "rows": torch.randn(9, 5)}[name]
    amounts = {"pictures": {"mixup": 0.5, "shift": 2, "cutout": 2}, "rows": {"mixup": 0.5, "swap": 0.5, "noise": 0.1}}
    rows, index = torch.tensor([7, 0, 3, 4]), torch.tensor([2, 0, 3])

    def views(inputs: torch.Tensor) -> Views:
        return Views(AugmentationConfig(**amounts[name]), inputs, (100.0, 110.0, 120.0), 0)

    some, alone = views(everything).over(rows), views(everything[rows])
    for view in range(3):
        seen, expected = some.take(index, view), alone.take(index, view)
        assert torch.equal(seen.inputs, expected.inputs)
        assert torch.equal(seen.partner, expected.partner)  # type: ignore[arg-type]
    fewer, of_these = some.over(torch.tensor([1, 3])), torch.tensor([1, 0])
    assert torch.equal(fewer.take(of_these, 0).inputs, views(everything[rows[[1, 3]]]).take(of_these, 0).inputs)
    assert (some._inputs.data_ptr() != everything.data_ptr()) == copies
