"""Which custom optimizers are tried beforehand, and on what."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import TABLE, run_space
from torch import nn

from distill_tune.data import Dataset, prepare_data
from distill_tune.distillation.optimizers import OptimizerKind
from distill_tune.distillation.preparation.optimizer_checks import check_optimizers
from distill_tune.errors import ConfigError

NAME = "test_optimizer_checks:OnGpus"


class GpuSgd(torch.optim.SGD):
    """Refuses CPU tensors, as some fused optimizers do."""

    def step(self, closure: Any = None) -> Any:
        if not all(each.is_cuda for group in self.param_groups for each in group["params"]):
            raise RuntimeError("these are no CUDA tensors")
        return super().step(closure)


class OnGpus(OptimizerKind):
    """A custom optimizer for GPUs only."""

    def build(self, module: nn.Module, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
        return GpuSgd(module.parameters(), learning_rate)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return prepare_data(run_space(TABLE).config.data, tmp_path)


def test_one_for_gpus_is_refused_where_trials_have_none_and_not_tried_where_it_cannot_be(dataset: Dataset) -> None:
    with pytest.raises(ConfigError, match=r"cannot make a step from gradients alone \(RuntimeError: these are no CUDA"):
        check_optimizers(run_space(TABLE, optim={"kind": NAME}), dataset)
    check_optimizers(run_space(TABLE, optim={"kind": NAME}, resources={"gpus_per_worker": 1.0}), dataset)


def test_a_space_whose_middle_student_cannot_be_is_not_refused_for_its_optimizer(dataset: Dataset) -> None:
    """A convnet cannot read a table; other students of a space may, and misfits are refused elsewhere."""
    check_optimizers(run_space(TABLE, student={"family": "convnet"}, optim={"kind": NAME}), dataset)
