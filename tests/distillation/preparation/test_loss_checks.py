"""What losses require of the data, checked before a teacher is trained: classes, and samples per worker."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from runs import IMAGES, TABLE, run_space
from torch import Tensor

from distill_tune.distillation.losses import Loss
from distill_tune.distillation.preparation.prepare import announced_data, check_students
from distill_tune.errors import ConfigError, DataError, TeacherError
from distill_tune.registry import LOSSES

ON_LOGITS = [name for name in LOSSES.names if LOSSES.get(name).uses_teacher and not LOSSES.get(name)().reads_features]
NO_TARGET, NO_COLUMNS = {"target_weight": 0.0}, {"intra_weight": 0.0}


def checked(folder: Path, classes: int = 4, samples: int = 600, **sections: Any) -> None:
    """Check a space whose data have the given numbers of classes and samples."""
    blobs = {**TABLE["data"]["blobs"], "classes": classes, "samples": samples}
    own = {**TABLE["data"], "blobs": blobs}
    looked_at({**TABLE, "data": own}, folder, **sections)


def looked_at(base: dict[str, Any], folder: Path, **sections: Any) -> None:
    space = run_space(base, **sections)
    check_students(space, announced_data(space.config, folder, lambda line: None))


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (
            {"kind": ["soft_targets", "logit_standardization"]},
            "loss: nothing is left of 'logit_standardization' where there are fewer than 3 classes, but the data have "
            "2; choose another loss, such as 'soft_targets'.",
        ),
        ({"also": {"logit_standardization": 0.5}}, "loss: nothing is left of 'logit_standardization' where"),
        (
            {"kind": "dkd", "dkd": {"target_weight": {"choice": [0.0, 1.0]}}},
            "loss: nothing is left of 'dkd' where there are fewer than 3 classes, but the data have 2; give its other "
            "part a weight, or choose",
        ),
        ({"kind": "dist", "dist": {"intra_weight": 0.0}}, "loss: nothing is left of 'dist' where"),
        (
            {"kind": "dist", "soft_weight": 1.0},
            "loss.soft_weight: must be below 1 with kind = 'dist', which does not say which class of two is which, but "
            "got 1.0. Write 0.9 in place of 1, or add",
        ),
        ({"kind": "sp", "soft_weight": 1.0, "also": {"dist": 1.0}}, "loss.soft_weight: must be below 1 with kind"),
    ],
    ids=str,
)
def test_of_two_classes_a_loss_that_says_nothing_of_them_is_refused(
    loss: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        checked(tmp_path, classes=2, loss=loss)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)
    checked(tmp_path, classes=3, loss=loss)


@pytest.mark.parametrize(
    "loss",
    [
        {"kind": ["soft_targets", "dkd", "dist"], "soft_weight": 0.9},
        {"kind": "dist", "soft_weight": 1.0, "also": {"soft_targets": 0.5}},
        {"kind": "dkd", "dkd": {"target_weight": {"uniform": [0.0, 2.0]}}},
    ],
    ids=str,
)
def test_of_two_classes_what_says_something_of_them_may_be_used(loss: dict[str, Any], tmp_path: Path) -> None:
    checked(tmp_path, classes=2, loss=loss)


def gradient(loss: Any, logits: Tensor, teacher: Tensor) -> float:
    own = logits.clone().requires_grad_()
    loss.soft(own, teacher, 2.0).backward()
    assert own.grad is not None
    return float(own.grad.abs().max())


@pytest.mark.parametrize(
    ("name", "options"), [*((name, {}) for name in ON_LOGITS), ("dkd", NO_TARGET), ("dist", NO_COLUMNS)]
)
def test_a_loss_of_logits_has_a_gradient_from_the_number_of_classes_on_that_it_needs(
    name: str, options: dict[str, float]
) -> None:
    loss = LOSSES.get(name)(**options)
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 8, 3)
    assert gradient(loss, student, teacher) > 1e-4
    assert (gradient(loss, student[:, :2], teacher[:, :2]) > 1e-4) == (loss.needed_classes == 2)


@pytest.mark.parametrize(
    ("loss", "needed"),
    [
        ({"kind": "pkt"}, 3),
        ({"kind": "rkd"}, 3),
        ({"kind": ["soft_targets", "sp"], "sp": {"on": {"choice": ["features", "logits"]}}}, 2),
        ({"also": {"rkd": 0.1}, "rkd": {"on": "features"}}, 3),
        ({"kind": "crd"}, 2),
        ({"kind": "crd", "crd": {"negatives": {"choice": [64, 0]}}}, 2),
        ({"kind": "dist", "dist": {"inter_weight": 0.0}}, 3),
        ({"kind": "reviewkd"}, 2),
        ({"kind": "crd", "crd": {"negatives": 64}}, 1),
        ({"kind": ["soft_targets", "dkd", "dist", "mse_logits"]}, 1),
    ],
    ids=str,
)
def test_a_worker_whose_part_of_a_batch_is_too_small_for_a_loss_is_refused(
    loss: dict[str, Any], needed: int, tmp_path: Path
) -> None:
    both = {"workers_per_trial": 2}
    base = {"loss": {**loss, "soft_weight": 0.5}, "teacher": IMAGES["teacher"], "student": IMAGES["student"]}
    looked_at(IMAGES, tmp_path, **base, optim={"batch_size": 2 * needed}, resources=both)
    if needed > 1:
        small = {"choice": [64, 2 * needed - 2]}
        with pytest.raises(ConfigError, match=rf"^optim.batch_size: loss '\w+' needs {needed} samples a step for each"):
            looked_at(IMAGES, tmp_path, **base, optim={"batch_size": small}, resources=both)


@pytest.mark.parametrize("name", LOSSES.names)
def test_what_decides_what_a_loss_needs_is_among_its_options(name: str) -> None:
    assert set(LOSSES.get(name).decisive_options) <= set(LOSSES.get(name).model_fields)
    assert set(LOSSES.get(name).naming_weights) <= set(LOSSES.get(name).decisive_options)


class Neighbours(Loss):
    """A custom loss with an option that sets how many samples it needs."""

    decisive_options: ClassVar[tuple[str, ...]] = ("neighbours",)
    neighbours: int = 1

    @property
    def needed_samples(self) -> int:
        return 1 + self.neighbours

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        return student_logits.sum()


def test_a_loss_of_ones_own_is_looked_at_with_each_end_of_what_decides(tmp_path: Path) -> None:
    name = "test_loss_checks:Neighbours"
    loss = {"kind": name, "soft_weight": 0.5, name: {"neighbours": {"int": [1, 4]}}}
    looked_at(TABLE, tmp_path, loss=loss, optim={"batch_size": 5})
    with pytest.raises(ConfigError, match=r"^optim.batch_size: loss '.*:Neighbours' needs 5 samples a step"):
        looked_at(TABLE, tmp_path, loss=loss, optim={"batch_size": 4})


def test_fewer_samples_than_a_batch_are_what_a_worker_sees(tmp_path: Path) -> None:
    few = {"data": {**TABLE["data"], "student_samples": 0.012}, "resources": {"workers_per_trial": 2}}
    with pytest.raises(
        ConfigError, match=r"^data: loss 'rkd' needs 3 samples .* too few that a student may see; give it 6"
    ):
        looked_at(TABLE, tmp_path, **few, loss={"kind": "rkd"})
    looked_at(TABLE, tmp_path, **few, loss={"kind": "sp"})


COMPARING = [name for name in LOSSES.names if LOSSES.get(name)().needed_samples > 1 and name != "reviewkd"]
"""Without `reviewkd`, which raises if there are too few samples."""


@pytest.mark.parametrize("name", COMPARING)
def test_a_loss_says_something_of_as_many_samples_as_it_needs_and_nothing_of_fewer(name: str) -> None:
    loss = LOSSES.get(name)()
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 6)
    for samples in range(1, 5):
        own = torch.nn.functional.normalize(student[:samples]).requires_grad_()
        loss.compare(own, torch.nn.functional.normalize(teacher[:samples])).backward()
        assert own.grad is not None
        assert (float(own.grad.abs().max()) > 1e-4) == (samples >= loss.needed_samples), samples


@pytest.mark.parametrize("student", [{"family": "resnet"}, {"family": ["mlp", "resnet"]}], ids=str)
def test_a_student_that_normalises_rows_by_the_batch_is_refused_batches_of_one(
    student: dict[str, Any], tmp_path: Path
) -> None:
    base = {**TABLE, "student": {}}
    labels = {"kind": "labels"}
    said = r"^optim.batch_size: student 'resnet' cannot be trained on one sample .* but got 1; write 2 or more, or"
    with pytest.raises(ConfigError, match=said):
        looked_at(base, tmp_path, student=student, loss=labels, optim={"batch_size": 1})
    looked_at(base, tmp_path, student=student, loss=labels, optim={"batch_size": 2})
    looked_at(base, tmp_path, student={"family": "mlp"}, loss=labels, optim={"batch_size": 1})


@pytest.mark.parametrize(
    ("teacher", "key"),
    [
        (lambda one, other: one, "teacher.train.batch_size"),
        (
            lambda one, other: {"source": "ensemble", "ensemble": {"members": {"a": other, "b": one}}},
            "teacher.ensemble.members.b.train.batch_size",
        ),
    ],
    ids=["alone", "a member"],
)
def test_a_teacher_that_normalises_rows_by_the_batch_is_refused_batches_of_one(
    teacher: Callable[..., dict[str, Any]], key: str, tmp_path: Path
) -> None:
    def looked_at_with(family: str, batch_size: int) -> None:
        one = {"source": "train", "family": family, "train": {"epochs": 1, "batch_size": batch_size}}
        looked_at({**TABLE, "teacher": teacher(one, {"source": "train", "family": "mlp"})}, tmp_path)

    with pytest.raises(TeacherError, match=rf"^{key}: 'resnet' cannot be trained on one sample .* but got 1; write 2"):
        looked_at_with("resnet", 1)
    looked_at_with("resnet", 2)
    looked_at_with("mlp", 1)


def test_what_only_a_fold_cannot_have_is_refused_with_the_data(tmp_path: Path) -> None:
    data = {**TABLE["data"], "folds": 5, "student_samples": 460}  # of 480, but each fold trains on 384
    with pytest.raises(DataError, match=r"data\.student_samples = 460, but the training split has 38\d\."):
        announced_data(run_space({**TABLE, "data": data}).config, tmp_path, lambda line: None)


def test_a_baseline_without_a_teacher_sees_labelled_rows_alone_and_each_worker_a_part_of_them(tmp_path: Path) -> None:
    few = {**TABLE["data"], "rest": "unlabelled", "student_samples": 12}
    deep = {"family": "resnet", "resnet": {"width": 8}}
    base = {**TABLE, "data": few, "student": deep, "optim": {"batch_size": 48}}
    looked_at(base, tmp_path, resources={"workers_per_trial": 6})
    with pytest.raises(ConfigError, match=r"student 'resnet' cannot be trained on one sample a step for each worker"):
        looked_at(base, tmp_path, resources={"workers_per_trial": 8})


class ByLabels(Loss):
    """A custom loss that assumes that there are always labels."""

    def soft_with_labels(
        self, student_logits: Tensor, teacher_logits: Tensor, temperature: float, labels: Tensor | None
    ) -> Tensor:
        assert labels is not None
        weights = (labels + 1.0).rsqrt()
        apart = (student_logits - teacher_logits).square().sum(1)
        return (weights * apart).sum() / weights.sum()


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"augmentation": {"mixup": {"choice": [0.0, 0.5]}}},
            "ByLabels' raises AssertionError.* where inputs are mixed",
        ),
        (
            {"augmentation": {"mixup": 0.5}},
            "ByLabels' raises AssertionError.* where inputs are mixed and labels are None; mend it",
        ),
        (
            {"data": TABLE["data"] | {"student_samples": 100, "rest": "unlabelled"}},
            r"but gave nan for logits of usual size where rows have no label, which is -1 then; mend it\.$",
        ),
    ],
    ids=["may mix", "mixes", "unlabelled"],
)
def test_a_loss_of_ones_own_is_tried_with_the_labels_that_it_may_be_given(
    sections: dict[str, Any], said: str, tmp_path: Path
) -> None:
    own = {"loss": {"kind": "test_loss_checks:ByLabels"}}
    looked_at(TABLE, tmp_path, **own, augmentation={"noise": 0.1})
    with pytest.raises(ConfigError, match=said):
        looked_at(TABLE, tmp_path, **own, **sections)
