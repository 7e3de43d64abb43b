"""Two workers of one trial, each a separate process, report what one worker reports."""

import gc
import json
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from runs import IMAGES, run_space

from distill_tune.config import Space
from distill_tune.config.validate import validate
from distill_tune.distillation.data_parallel import _Answers
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.materials.prepared import Prepared
from distill_tune.distillation.training.loop import distill
from distill_tune.errors import TrainingError


def train(tables: dict[str, Any], prepared: Prepared) -> dict[str, Any]:
    """Train in this process, as a worker of its group if it is in one; return the reports and how the run ended."""
    config = validate(tables)
    reports, weights, ended, student = [], [], "", None
    try:
        for epoch in distill(config, Materials.open(prepared, config), 0):
            reports.append({k: v for k, v in epoch.report.items() if "time/" not in k and k != "samples_per_s"})
            state = epoch.student.state_dict() | epoch.checkpoint().get("projector", {})
            weights = torch.cat([weight.flatten() for weight in state.values()]).tolist()
            student = weakref.ref(epoch.student)
            del epoch
    except TrainingError as error:
        ended = str(error)
    gc.collect()
    left = student is not None and student() is not None
    return {
        "reports": reports,
        "weights": weights,
        "ended": ended,
        "left": left,
        "dynamo": "torch._dynamo" in sys.modules,
    }


def work(rank: int, runs: dict[str, tuple[dict[str, Any], Prepared]], folder: Path) -> None:
    """Train as one of two processes, whose group stays open for all runs."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    told = {name: train(*run) for name, run in runs.items()}
    (folder / f"rank-{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


SPACES = {
    "plain": run_space(),
    "everything": run_space(
        data={"student_samples": 100, "rest": "unlabelled"},
        augmentation={"mixup": 0.5},
        optim={"label_smoothing": 0.1, "gradient_clip": 0.5, "batch_size": 62},
        search={"objectives": ["val/corrupted_accuracy"]},
    ),
    "accumulated": run_space(optim={"batch_size": 16, "accumulate": 5, "gradient_clip": 0.5}),
    "inherited": run_space(
        student={"init": "inherit_progressive"},
        optim={"weight_decay": 0.1, "batch_size": 64},
        regularization={"norm_ratio": 0.4},
    ),
    "features": run_space(
        loss={"kind": "hint", "also": {"vid": 0.5, "dkd": 0.5}}, augmentation={"mixup": 0.5}, optim={"batch_size": 64}
    ),
    "relations": run_space(
        IMAGES,
        loss={"kind": "crd", "also": {"pkt": 1.0, "sp": 1.0, "rkd": 1.0, "reviewkd": 1.0, "attention": 1.0}}
        | {name: {"on": "features"} for name in ("sp", "rkd")},
    ),
    "memory": run_space(loss={"kind": "crd", "crd": {"negatives": 100}}, optim={"batch_size": 64}),
    "unreached": run_space(student={"family": "odd_students:unreached"}, optim={"batch_size": 64}),
    "diverging": run_space(optim={"kind": "sgd", "learning_rate": 1e12}),
    "batch statistics": run_space(IMAGES, augmentation={"shift": 1}),
}


NAMES = ("plain", "everything", "accumulated", "inherited", "features", "memory", "unreached")


@pytest.fixture(scope="module")
def runs(ready: Callable[[Space], Any]) -> dict[str, tuple[dict[str, Any], Prepared]]:
    return {name: (space.tables, ready(space)[1].prepared) for name, space in SPACES.items()}


@pytest.fixture(scope="module")
def told_by_two(runs: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """For each run, what each of its two workers returned."""
    folder = tmp_path_factory.mktemp("ranks")
    mp.spawn(work, (runs, folder), nprocs=2)
    told = [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]
    return {name: [each[name] for each in told] for name in runs}


@pytest.mark.parametrize("name", NAMES)
def test_two_workers_report_what_one_reports(name: str, runs: Any, told_by_two: Any) -> None:
    """Everything: samples without labels, mixed inputs, smoothed labels, clipped gradients, corrupted inputs.

    Inherited: units held for a while, and a limit on the norm. Features: projectors. Memory: both workers' banks are
    compared, and each worker records the samples of both. Unreached: a custom network with weights that do not affect
    the loss.
    """
    alone, (first, second) = train(*runs[name]), told_by_two[name]
    assert len(first["reports"]) == 3
    assert first == second
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-4, abs=1e-5)
    for ours, theirs in zip(first["reports"], alone["reports"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-5)


def test_two_workers_keep_one_student_with_batch_statistics(runs: Any, told_by_two: Any) -> None:
    """Each normalises by its own half of a batch: losses within 15 % of one worker's, accuracy within 5 points."""
    alone, (first, second) = train(*runs["batch statistics"]), told_by_two["batch statistics"]
    assert first == second  # running statistics too
    last, expected = first["reports"][-1], alone["reports"][-1]
    assert last["train/loss"] == pytest.approx(expected["train/loss"], rel=0.15)
    assert last["val/loss"] == pytest.approx(expected["val/loss"], rel=0.15)
    assert last["val/accuracy"] == pytest.approx(expected["val/accuracy"], abs=0.05)


def test_two_workers_that_compare_samples_keep_one_student_and_one_projector(runs: Any, told_by_two: Any) -> None:
    """Each compares only its own half of a batch, so losses differ; contrasts have half the negatives."""
    alone, (first, second) = train(*runs["relations"]), told_by_two["relations"]
    assert first == second
    for name in ("crd", "pkt", "sp", "rkd", "reviewkd", "attention"):
        term = "train/soft_loss" if name == "crd" else f"train/{name}_loss"
        assert first["reports"][0][term] == pytest.approx(alone["reports"][0][term], rel=0.5)
    assert len(first["weights"]) == len(alone["weights"])


def test_all_workers_leave_a_diverged_run(told_by_two: Any) -> None:
    assert all("the run has diverged" in each["ended"] for each in told_by_two["diverging"])


def test_a_run_that_is_over_leaves_no_student_behind(told_by_two: Any) -> None:
    assert not any(each["left"] for told in told_by_two.values() for each in told)


def test_workers_do_without_the_compiler_that_pytorch_would_load_in_each(told_by_two: Any) -> None:
    assert not any(each["dynamo"] for told in told_by_two.values() for each in told)


def test_what_stands_for_a_module_knows_what_it_was_given_and_asks_the_module_for_all_else() -> None:
    stand_in = _Answers("json", loads=lambda text: "mine")
    assert stand_in.loads("1") == "mine"
    assert stand_in.dumps is json.dumps
