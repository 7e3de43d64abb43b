"""The training loop with losses on features: their values, their weights, and what they leave unchanged."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from every_feature_loss import ALL, EVERYTHING
from small_networks import hooks_of
from small_trainings import Make, Ready, epochs_of, report_of

from distill_tune.distillation.cache.features import TeacherFeatures
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.feature_terms import with_features
from distill_tune.distillation.training.objective import Objective
from distill_tune.distillation.training.run import Run


def test_a_live_teacher_gives_the_losses_on_features_of_a_cached_one(image_space: Make, ready: Ready) -> None:
    """In the first epoch, to the precision of the cache; later, rounding has moved the weights."""
    keys: dict[str, Any] = {"loss": EVERYTHING, "augmentation": {"mixup": 0.5}, "search": {"max_epochs": 1}}
    (cached,) = epochs_of(ready(image_space(teacher={"views": 1}, **keys)))
    live_run = ready(image_space(teacher={"mode": "live"}, **keys))
    (live,) = epochs_of(live_run)
    terms = {name: value for name, value in report_of(cached).items() if name.startswith("train/") and "_loss" in name}
    assert terms.keys() == {f"train/{name}_loss" for name in ("hard", "soft", *ALL)}
    assert {name: live.report[name] for name in terms} == pytest.approx(terms, rel=2e-3)
    assert not hooks_of(live_run[1].prepared.live_teacher)


FIRST_TO_BE_COMPILED = """
import sys
from pathlib import Path
import torch
from runs import run_space
from torch import nn
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.loop import distill

def compiled(input_shape, classes):
    chain = nn.Sequential(nn.Linear(*input_shape, 6), nn.ReLU(), nn.Linear(6, classes))
    return torch.compile(chain, backend="eager")

sys.modules["mine"] = sys.modules["__main__"]
assert "torch._dynamo" not in sys.modules
for kind in ("soft_targets", "hint", "soft_targets", "hint"):
    space = run_space(student={"family": "mine:compiled"}, loss={"kind": kind}, search={"max_epochs": 1})
    prepared = prepare(space, Path("cache"), lambda line: None).prepared
    (epoch,) = distill(space.config, Materials.open(prepared, space.config), 0)
    print(kind, sorted(name for name in epoch.report if name.startswith("train/")))
"""


def test_a_student_that_its_user_compiles_trains_with_features_after_trainings_without(tmp_path: Path) -> None:
    """In a process that has compiled nothing before, like a search's workers."""
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", FIRST_TO_BE_COMPILED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["soft_targets", "hint"] * 2


def test_the_total_loss_is_the_weighed_sum_of_all_terms(image_space: Make, ready: Ready) -> None:
    for epoch in epochs_of(ready(image_space(loss=EVERYTHING))):
        report = epoch.report
        weighed = 0.5 * report["train/hard_loss"] + 0.5 * report["train/soft_loss"]
        weighed += sum(weight * report[f"train/{name}_loss"] for name, weight in ALL.items())
        assert report["train/loss"] == pytest.approx(weighed, rel=1e-5)


def test_a_term_without_weight_changes_nothing(image_space: Make, ready: Ready) -> None:
    plain, weightless = (
        [report_of(epoch) for epoch in epochs_of(ready(image_space(loss=loss)))]
        for loss in ({"kind": "dkd"}, {"kind": "dkd", "also": {"hint": 0.0, "dkd": 3.0}})
    )
    assert plain == weightless


def test_what_compares_no_features_has_no_hooks_and_what_did_leaves_none(image_space: Make, ready: Ready) -> None:
    def hooks(loss: dict[str, Any]) -> tuple[int, int]:
        epochs = epochs_of(ready(image_space(loss=loss)))
        student = next(epochs).student
        while_training = hooks_of(student)
        epochs.close()  # type: ignore[attr-defined]
        return while_training, hooks_of(student)

    assert hooks({"kind": "soft_targets", "also": {"dkd": 1.0, "hint": 0.0, "sp": 1.0}}) == (0, 0)
    assert hooks({"kind": "hint"}) == (1, 0)


def test_a_students_weights_begin_the_same_with_and_without_a_projector(image_space: Make, ready: Ready) -> None:
    states = []
    for loss in ({"kind": "hint"}, {"kind": "soft_targets"}):
        config, preparation = ready(image_space(loss=loss))
        run = Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))
        states.append(run.student.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_search_labels_the_layers_of_all_of_its_students(image_space: Make, ready: Ready) -> None:
    """Students of one stage and of two, and a perceptron, each paired from the end."""
    space = image_space(
        student={"family": ["convnet", "mlp"], "convnet": {"depth": {"int": [1, 2]}}},
        loss={"kind": ["vid", "hint"], "also": {"pkt": {"choice": [0.0, 1.0]}}},
    )
    _, preparation = ready(space)
    for values in (
        {"student.family": "convnet", "student.convnet.depth": 1, "loss.kind": "vid", "loss.also.pkt": 1.0},
        {"student.family": "convnet", "student.convnet.depth": 2, "loss.kind": "hint", "loss.also.pkt": 0.0},
        {"student.family": "convnet", "student.convnet.depth": 2, "loss.kind": "vid", "loss.also.pkt": 1.0},
        {"student.family": "mlp", "loss.kind": "vid", "loss.also.pkt": 1.0},
    ):
        config = space.at(values)
        materials = Materials.open(preparation.prepared, config)
        student = materials.build_student(config)
        whole = with_features(Objective(config).on_features, student, materials)
        assert whole is not None
        TeacherFeatures(preparation.prepared.teacher_folder, config, whole.teacher_layers)
