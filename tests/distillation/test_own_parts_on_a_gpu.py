"""Custom parts that ignore their device are refused beforehand if trials use a GPU (`pretended_gpu.py`)."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from pretended_gpu import pretended_gpu
from runs import TABLE, run_space
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.distillation.augmentation import Draw, Transform
from distill_tune.distillation.losses import Loss
from distill_tune.distillation.preparation.prepare import announced_data, check_students
from distill_tune.errors import ConfigError
from distill_tune.users_faults import users_faults_refused

HERE = "test_own_parts_on_a_gpu"


class Network(nn.Module):
    """Adds a CPU tensor whatever device it is on."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.layer = nn.Linear(inputs, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.layer(inputs) + torch.zeros(self.layer.out_features)


def forgetful(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return Network(*input_shape, classes)


class Weighted(Loss):
    """Weights classes with a CPU tensor."""

    def soft(self, student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
        weights = torch.ones(student_logits.shape[-1])
        return ((student_logits - teacher_logits).square() * weights).mean()


class Noise(Transform):
    """Adds noise that is drawn on the CPU."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs + self.amount * torch.randn(inputs.shape)


class Brought(Transform):
    """Works on the CPU and leaves its result there."""

    for_tables: ClassVar[bool] = True

    def apply(self, inputs: Tensor, draw: Draw) -> Tensor:
        return inputs.cpu() * self.amount


def space_of(gpus: int, sections: dict[str, Any]) -> Space:
    return run_space(TABLE, resources={"gpus_per_worker": gpus}, **sections)


BOTH = r"has raised .* on both cuda:0 and cpu; mend it\.$"
CASES: dict[str, tuple[dict[str, Any], str]] = {
    "student": ({"student": {"family": f"{HERE}:forgetful"}}, r"^student\.family: .*cannot take 8 samples.*; mend its"),
    "loss": ({"loss": {"kind": f"{HERE}:Weighted"}}, BOTH),
    "noise": ({"augmentation": {f"{HERE}:Noise": 0.1}}, BOTH),
    "brought": ({"augmentation": {f"{HERE}:Brought": 0.1}}, r"on cuda:0, but gave .* on cpu; mend it\.$"),
}


@pytest.mark.parametrize(("sections", "said"), CASES.values(), ids=CASES)
def test_what_forgets_where_it_is_is_refused_where_the_gpu_is(
    sections: dict[str, Any], said: str, tmp_path: Path
) -> None:
    for gpus in (0, 1):
        space = space_of(gpus, sections)
        dataset = announced_data(space.config, tmp_path, lambda line: None)
        if not gpus:
            check_students(space, dataset)
            continue
        with pretended_gpu(), pytest.raises(ConfigError, match=said), users_faults_refused():
            check_students(space, dataset)
