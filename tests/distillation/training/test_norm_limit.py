"""The student's weights stay within a multiple of the teacher's norm."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distill_tune.config import Config, Space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.norm_limit import NormLimit
from distill_tune.errors import ConfigError, TrainingError

Make = Callable[..., Space]
Ready = Callable[[Space], tuple[Config, Any]]


def flat(module: nn.Module) -> np.ndarray:
    return np.concatenate([p.detach().double().numpy().ravel() for p in module.parameters()])


def norm(module: nn.Module) -> float:
    return float(np.linalg.norm(flat(module)))


def network(seed: int, scale: float) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Linear(7, 3))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(scale)
    return made


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_weights_are_moved_to_the_nearest_point_within_the_limit(seed: int, scale: float, limit: float) -> None:
    module = network(seed, scale)
    before = flat(module)
    NormLimit(module, limit)
    after = flat(module)
    assert np.linalg.norm(after) <= limit
    size = np.linalg.norm(before)
    if size <= limit * (1 - 1e-5):
        assert (after == before).all()
    elif size > limit:
        np.testing.assert_allclose(after, before * limit / size, rtol=1e-5)


def test_frozen_weights_count_and_the_others_have_what_is_left() -> None:
    module = network(0, 5.0)
    frozen: Any = module[0]
    frozen.requires_grad_(False)
    before, own = flat(frozen), norm(frozen)
    NormLimit(module, 1.2 * own)
    assert (flat(frozen) == before).all()
    assert norm(module) == pytest.approx(1.2 * own, rel=1e-4)
    with pytest.raises(TrainingError, match=r"the student's frozen weights alone have a norm of .*; raise it\."):
        NormLimit(module, 0.9 * own)


def test_without_a_limit_nothing_moves() -> None:
    module = network(0, 5.0)
    before = flat(module)
    NormLimit(module, None)()
    assert (flat(module) == before).all()


@pytest.mark.parametrize("init", ["default", "inherit", "inherit_progressive"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_no_epoch_ends_above_the_limit(table_space: Make, ready: Ready, init: str, optimizer: str) -> None:
    optim = {"kind": optimizer, "learning_rate": 0.1, "batch_size": 64}
    bounded, free = (
        ready(table_space(student={"init": init}, optim=optim, regularization=ratio))
        for ratio in ({"norm_ratio": 0.25}, {})
    )
    teacher = norm(bounded[1].teacher.module)
    for epoch in distill(bounded[0], Materials.open(bounded[1].prepared, bounded[0]), 0):
        assert norm(epoch.student) <= 0.25 * teacher
    *_, last = distill(free[0], Materials.open(free[1].prepared, free[0]), 0)
    assert norm(last.student) > 0.25 * teacher


def test_a_limit_that_is_never_reached_changes_nothing(table_space: Make, ready: Ready) -> None:
    weights = []
    for regularization in ({}, {"norm_ratio": 1e6}):
        config, preparation = ready(table_space(regularization=regularization))
        *_, last = distill(config, Materials.open(preparation.prepared, config), 0)
        weights.append(flat(last.student))
    assert (weights[0] == weights[1]).all()


@pytest.mark.parametrize("ratio", [0.5, {"log": [0.1, 2.0]}], ids=str)
def test_a_limit_needs_a_teacher_with_weights(table_space: Make, tmp_path: Path, ratio: Any) -> None:
    np.save(tmp_path / "logits.npy", np.random.default_rng(0).normal(size=(600, 4)))
    teacher = {"source": "logits", "path": str(tmp_path / "logits.npy")}
    with pytest.raises(ConfigError) as caught:
        prepare(table_space(teacher=teacher, regularization={"norm_ratio": ratio}), tmp_path, lambda line: None)
    assert str(caught.value) == (
        "regularization.norm_ratio: needs the teacher's weights, but source = 'logits' has only logits; name a teacher "
        "that can run, or leave it out."
    )


def test_a_limit_is_searched(table_space: Make) -> None:
    space = table_space(regularization={"norm_ratio": {"log": [0.1, 2.0]}})
    assert space.at({"regularization.norm_ratio": 0.7}).regularization.norm_ratio == 0.7
