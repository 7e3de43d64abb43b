"""A custom loss, augmentation and optimizer, found by their dotted paths."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from small_trainings import Make, Ready, reports_of
from torch import Tensor, nn

from distill_tune.distillation.augmentation import Draw, Transform
from distill_tune.distillation.losses import FeatureLoss, Loss, Shape
from distill_tune.distillation.losses.logit_standardization import LogitStandardization
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.optimizers import OptimizerKind
from distill_tune.distillation.preparation.feature_checks import check_feature_losses
from distill_tune.distillation.preparation.prepare import announced_data
from distill_tune.distillation.preparation.ready_teachers import try_to_load
from distill_tune.distillation.training.run import Run
from distill_tune.errors import ConfigError


class Halved(Loss):
    """A custom loss: a multiple of a built-in one that is left to autograd."""

    factor: float = 0.5

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        return LogitStandardization().soft(student_logits, teacher_logits, temperature) * self.factor


class Noise(Transform):
    """A custom transform for tables."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs + self.amount * (draw.uniform("noise").unsqueeze(1) - 0.5)


class Nothing(Transform):
    """A custom transform that forgets to return."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        inputs + self.amount
        return None  # type: ignore[return-value]


class Doubles(Transform):
    """A custom transform that returns another dtype."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs.double() + self.amount


class Undefined(Transform):
    """A custom transform that divides by zero."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs / 0


class Halves(Transform):
    """A custom mixing transform with one share for all samples."""

    for_tables: ClassVar[bool] = True
    mixes: ClassVar[bool] = True

    def mix(self, inputs: Tensor, partners: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        return (inputs + partners) / 2, torch.tensor(0.5)


class Plain(OptimizerKind):
    """A custom optimizer."""

    maximize: bool = False

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(module.parameters(), lr=learning_rate, maximize=self.maximize)


class Slower(OptimizerKind):
    """A custom optimizer that trains all but the last layer at a tenth of the rate."""

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        *before, weight, bias = module.parameters()
        return torch.optim.SGD(
            [{"params": before, "lr": 0.1 * learning_rate}, {"params": [weight, bias], "lr": learning_rate}]
        )


class Unjoined(FeatureLoss):
    """A custom loss on features that compares features of different sizes directly."""

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        return (student - teacher).square().mean()


class Joined(Unjoined):
    """A custom loss on features with a projector and a memory of the samples."""

    class Projector(nn.Module):
        """A linear projector."""

        def __init__(self, ours: int, theirs: int):
            super().__init__()
            self.layer = nn.Linear(ours, theirs)

        def forward(self, students: Sequence[Tensor], teachers: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
            return [(self.layer(student), teacher) for student, teacher in zip(students, teachers, strict=True)]

    class Memory(nn.Module):
        """Counts how often each sample was seen."""

        def __init__(self, samples: int):
            super().__init__()
            self.register_buffer("seen", torch.zeros(samples))

        def forward(self, pairs: Any, index: Tensor, batch_number: int) -> Any:
            self.seen[index] += 1
            return [(*pair, self.seen[index]) for pair in pairs]

    def projector(self, student: Sequence[Shape], teacher: Sequence[Shape]) -> nn.Module:
        return self.Projector(student[0][0], teacher[0][0])

    def memory(self, pairs: int, samples: int, seed: int) -> nn.Module:
        return self.Memory(samples)


class NoNumber(Joined):
    """A custom loss on features that forgets to return."""

    def compare(self, student: Tensor, teacher: Tensor, *others: Any) -> Tensor:
        super().compare(student, teacher)
        return None  # type: ignore[return-value]


def test_a_loss_of_ones_own_is_trained_with(table_space: Make, ready: Ready) -> None:
    ours = reports_of(
        ready(
            table_space(
                loss={"kind": "test_parts_of_ones_own:Halved", "test_parts_of_ones_own:Halved": {"factor": 1.0}}
            )
        )
    )
    assert ours == reports_of(ready(table_space(loss={"kind": "logit_standardization"})))
    halved = reports_of(ready(table_space(loss={"kind": "test_parts_of_ones_own:Halved"})))
    assert halved[0]["train/soft_loss"] < 0.7 * ours[0]["train/soft_loss"]


def test_an_augmentation_of_ones_own_is_trained_and_labelled_with(table_space: Make, ready: Ready) -> None:
    noisy = {"augmentation": {"test_parts_of_ones_own:Noise": 2.0}}
    live = reports_of(ready(table_space(teacher={"mode": "live"}, **noisy)))
    cached = reports_of(ready(table_space(teacher={"views": 3}, **noisy)))
    assert cached[0]["train/loss"] == pytest.approx(live[0]["train/loss"], rel=1e-5)
    assert cached[0]["train/loss"] != pytest.approx(reports_of(ready(table_space()))[0]["train/loss"], rel=1e-3)


def test_how_much_of_ones_own_augmentation_and_of_a_further_loss_there_is_may_be_searched(table_space: Make) -> None:
    noise, halved = "test_parts_of_ones_own:Noise", "test_parts_of_ones_own:Halved"
    space = table_space(
        augmentation={noise: {"choice": [0.0, 2.0]}},
        loss={"kind": "soft_targets", "also": {halved: {"log": [0.1, 1.0]}}, halved: {"factor": 1.0}},
    )
    assert set(space.ranges) == {("augmentation", noise), ("loss", "also", halved)}
    config = space.at({f'augmentation."{noise}"': 2.0, f'loss.also."{halved}"': 0.5})
    assert (config.augmentation.amounts[noise], config.loss.also[halved]) == (2.0, 0.5)
    assert space.middle().keys() == {f'augmentation."{noise}"', f'loss.also."{halved}"'}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Nothing", "`apply` must give inputs as it is given them, [8, 8] of torch.float32, but gave None; mend it."),
        ("Doubles", "`apply` must give inputs as it is given them, [8, 8] of torch.float32, but gave [8, 8] of"),
        (
            "Undefined",
            "`apply` must give inputs as it is given them, finite where these are, but gave numbers that are not",
        ),
        ("Halves", "the share of a sample must be one number, [8] of torch.float32, but gave [] of torch.float32"),
    ],
)
def test_an_augmentation_that_gives_no_such_inputs_is_refused(
    table_space: Make, ready: Ready, name: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        ready(table_space(augmentation={f"test_parts_of_ones_own:{name}": 0.5}))
    assert str(refused.value).startswith(f"augmentation.test_parts_of_ones_own:{name}: {told}")


def test_an_optimizer_of_ones_own_is_trained_with(table_space: Make, ready: Ready) -> None:
    down, up = (
        reports_of(
            ready(
                table_space(
                    optim={
                        "kind": "test_parts_of_ones_own:Plain",
                        "test_parts_of_ones_own:Plain": {"maximize": maximize},
                    }
                )
            )
        )
        for maximize in (False, True)
    )
    assert down[-1]["train/loss"] < down[0]["train/loss"]
    assert up[-1]["train/loss"] > up[0]["train/loss"]


def test_each_group_of_an_optimizer_of_ones_own_keeps_its_share_of_the_rate(table_space: Make, ready: Ready) -> None:
    """In each epoch and after a checkpoint; what trains with the student, here for `hint`, has the full rate."""
    own = {"kind": "test_parts_of_ones_own:Slower", "schedule": "step"}
    config, preparation = ready(table_space(optim=own, loss={"kind": "hint"}))
    materials = Materials.open(preparation.prepared, config)
    whole, resumed = (Run(config, materials, seed=0, device=torch.device("cpu")) for _ in range(2))
    checkpoint = whole.next_epoch().checkpoint()
    assert rates(whole) == pytest.approx([1e-3, 1e-2, 1e-2, 1e-2])
    whole.next_epoch()
    resumed.restore(checkpoint)
    resumed.next_epoch()
    for run in (whole, resumed):
        assert run.next_epoch().report["learning_rate"] == pytest.approx(1e-4)
        assert rates(run) == pytest.approx([1e-5, 1e-4, 1e-4, 1e-4])
        run.close()


def rates(run: Run) -> list[float]:
    return [group["lr"] for group in run.optimizer.param_groups]


@pytest.mark.parametrize("is_trained_here", [True, False])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "Unjoined",
            r"loss: '.*:Unjoined' cannot compare the student's '2' \[16, 12\] with the teacher's '.' \[16, (32|20)\]: "
            r"Unjoined\.compare in test_parts_of_ones_own\.py, line \d+, has raised RuntimeError: The size of tensor",
        ),
        ("NoNumber", "loss: `compare` of '.*:NoNumber' must give one number as a tensor, but gave None; mend it"),
    ],
)
def test_a_loss_on_features_of_ones_own_is_tried_on_those_that_it_will_compare(
    table_space: Make, tmp_path: Path, name: str, told: str, is_trained_here: bool
) -> None:
    """Before a teacher is trained, or once it is loaded if only the teacher itself shows its layers."""
    torch.save(wide().state_dict(), tmp_path / "weights.pt")
    torch_teacher = {"source": "torch", "path": str(tmp_path / "weights.pt"), "torch": {"factory": f"{__name__}:wide"}}
    teacher = {} if is_trained_here else torch_teacher
    space = table_space(loss={"kind": f"test_parts_of_ones_own:{name}"}, teacher=teacher)
    dataset = announced_data(space.config, tmp_path / "cache", lambda line: None)
    check = check_feature_losses if is_trained_here else partial(try_to_load, folder=tmp_path / "teacher", say=print)
    with pytest.raises(ConfigError, match=told):
        check(space, dataset)


def wide() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 20), nn.ReLU(), nn.Linear(20, 4))


def test_a_loss_on_features_of_ones_own_that_keeps_to_the_rules_is_trained_with(
    table_space: Make, ready: Ready
) -> None:
    reports = reports_of(ready(table_space(loss={"kind": "test_parts_of_ones_own:Joined"})))
    assert reports[-1]["train/soft_loss"] < reports[0]["train/soft_loss"]
