"""What losses ask of the data, refused before a teacher is trained: classes, and samples in a worker's part."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import TABLE, run_space
from torch import Tensor

from distill_tune.config import Space
from distill_tune.distillation.preparation.prepare import announced_data, check_students
from distill_tune.errors import ConfigError
from distill_tune.registry import LOSSES

ON_LOGITS = [name for name in LOSSES.names if LOSSES.get(name).uses_teacher and not LOSSES.get(name)().reads_features]
NO_TARGET, NO_COLUMNS = {"target_weight": 0.0}, {"intra_weight": 0.0}


def checked(folder: Path, classes: int = 4, samples: int = 600, **sections: Any) -> None:
    """Look at a space whose data have so many classes."""
    blobs = {**TABLE["data"]["blobs"], "classes": classes, "samples": samples}
    own = {**TABLE["data"], "blobs": blobs}
    space: Space = run_space({**TABLE, "data": own}, **sections)
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
