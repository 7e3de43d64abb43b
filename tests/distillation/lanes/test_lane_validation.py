"""Lanes that are validated together get the same results as each alone."""

from copy import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from runs import run_space
from small_lanes import ARCHITECTURES, agree, alone, config_of, joined, trained

from distill_tune.config import Config
from distill_tune.distillation.lanes.fused import Fused
from distill_tune.distillation.materials.materials import Materials, Prepared
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Run


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(run_space(), tmp_path_factory.mktemp("cache"), lambda line: None).prepared


def run_of(prepared: Prepared, config: Config) -> Run:
    return Run(config, Materials.open(prepared, config), 0, torch.device("cpu"))


@pytest.mark.parametrize("portion", [1, 1 << 20], ids=["in portions", "at once"])
def test_lanes_together_count_what_each_counts(
    portion: int, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("distill_tune.distillation.lanes.validation._VALUES", portion * 200)
    fused = Fused([run_of(prepared, config_of(student)) for student in ARCHITECTURES])
    together = fused._validated()
    for run, validated in zip(fused.runs, together, strict=True):
        assert validated is not None
        ours, theirs = validated[0], run.validation_sums()
        assert (ours.agreed, ours.loss) == (theirs.agreed, pytest.approx(theirs.loss, rel=1e-5))
        assert torch.equal(ours.hits, theirs.hits)
        assert torch.equal(ours.counts, theirs.counts)


def test_of_equal_logits_the_first_is_the_prediction(prepared: Prepared) -> None:
    runs = [run_of(prepared, config_of(student)) for student in ARCHITECTURES[:2]]
    for parameter in runs[0].student.parameters():
        torch.nn.init.zeros_(parameter)
    fused = Fused(runs)
    for run, validated in zip(fused.runs, fused._validated(), strict=True):
        assert validated is not None
        assert torch.equal(validated[0].hits, run.validation_sums().hits)


def test_a_lane_of_equal_logits_is_no_better_for_others_that_have_diverged(prepared: Prepared) -> None:
    classes = len(Materials.open(prepared, config_of({})).dataset.classes)
    runs = [run_of(prepared, config_of({"widths": [12]})) for _ in range(classes)]
    for number, run in enumerate(runs):  # ties offset NaN: as many largest logits as samples times lanes
        for parameter in run.student.parameters():
            torch.nn.init.constant_(parameter, float("nan") if number else 0.0)
    fused = Fused(runs)
    for run, validated in zip(fused.runs, fused._validated(), strict=True):
        assert validated is not None
        assert torch.equal(validated[0].hits, run.validation_sums().hits)


def test_lanes_that_are_validated_on_different_samples_are_so_one_by_one(prepared: Prepared) -> None:
    configs = [config_of(student) for student in ARCHITECTURES[:2]]
    whole = Materials.open(prepared, configs[1])
    teacher: Any = copy(whole.teacher)
    teacher.validation = teacher.validation[:10]
    inputs, labels = whole.validation_inputs[:10], whole.validation_labels[:10]
    fewer = replace(whole, validation_inputs=inputs, validation_labels=labels, teacher=teacher)
    lanes = joined(prepared, configs[:1])
    lanes.join("1", configs[1], fewer, 1)
    epochs = trained(lanes)
    assert lanes.can_fuse
    agree(epochs["0"], next(alone(prepared, configs[0], 0)))
    agree(epochs["1"], next(distill(configs[1], fewer, 1)))
