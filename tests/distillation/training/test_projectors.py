"""Projectors and memories: in checkpoints (projectors also in optimizers), never in the student."""

import io
from copy import deepcopy

import pytest
import torch
from every_feature_loss import EVERYTHING
from small_trainings import Make, Ready, epochs_of, report_of
from torch import nn

from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.run import Checkpoint, Run


def test_a_run_resumed_with_its_projectors_ends_as_the_undisturbed_one(image_space: Make, ready: Ready) -> None:
    run = ready(image_space(loss=EVERYTHING))
    whole = []
    for epoch in epochs_of(run):
        file = io.BytesIO()
        torch.save(epoch.checkpoint(), file)
        file.seek(0)
        whole.append((report_of(epoch), torch.load(file, weights_only=True)))
    (first, second) = whole
    (resumed,) = epochs_of(run, resume=first[1])
    assert report_of(resumed) == second[0]
    for name in ("student", "projector"):
        again = resumed.checkpoint()[name]
        assert again.keys() == second[1][name].keys()
        assert all(torch.equal(again[key], second[1][name][key]) for key in again)


def test_a_run_resumed_with_its_memory_ends_as_the_undisturbed_one_and_another_memory_ends_elsewhere(
    image_space: Make, ready: Ready
) -> None:
    run = ready(image_space(loss={"kind": "crd", "crd": {"negatives": 50}}, search={"max_epochs": 3}))
    whole = []
    for epoch in epochs_of(run):
        file = io.BytesIO()
        torch.save(epoch.checkpoint(), file)
        whole.append((report_of(epoch), file.getvalue()))

    def kept(number: int) -> Checkpoint:
        found: Checkpoint = torch.load(io.BytesIO(whole[number][1]), weights_only=True)
        return found

    def ends(checkpoint: Checkpoint) -> tuple[dict[str, float], Checkpoint]:
        *_, last = epochs_of(run, resume=checkpoint)
        return report_of(last), last.checkpoint()

    banks = {name for name in kept(2)["projector"] if ".memory." in name}
    assert len(banks) == 3
    for number in (0, 1):
        report, state = ends(kept(number))
        assert report == whole[2][0]
        for part in ("student", "projector"):
            expected = kept(2)[part]
            assert all(torch.equal(state[part][name], expected[name]) for name in expected)
        for name in banks:
            other = kept(number)
            other["projector"][name] = kept(2)["projector"][name].flip(-1)
            assert ends(other)[0] != whole[2][0]


def test_a_memory_is_in_a_trainings_checkpoint_and_in_neither_student_nor_optimizer(
    image_space: Make, ready: Ready
) -> None:
    runs = []
    for negatives in (0, 50):
        config, preparation = ready(image_space(loss={"kind": "crd", "crd": {"negatives": negatives}}))
        runs.append(Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu")))
    without, having = (run.checkpoint() for run in runs)
    samples = len(runs[1].materials.labels)
    only = {name: tuple(having["projector"][name].shape) for name in having["projector"].keys() - without["projector"]}
    assert only == {
        "0.memory.students": (1, samples, 128),
        "0.memory.teachers": (1, samples, 128),
        "0.memory.log_means": (1, 2),
    }
    for part in ("student", "projector"):
        assert all(torch.equal(having[part][name], kept) for name, kept in without[part].items())
    assert having["student"].keys() == without["student"].keys()
    sizes = [[[p.shape for p in group["params"]] for group in run.optimizer.param_groups] for run in runs]
    assert sizes[0] == sizes[1]


def test_mixed_inputs_and_a_live_teacher_are_remembered_too(image_space: Make, ready: Ready) -> None:
    loss = {"kind": "crd", "crd": {"negatives": 50}}
    space = image_space(loss=loss, teacher={"mode": "live"}, augmentation={"mixup": 0.5}, search={"max_epochs": 1})
    (epoch,) = epochs_of(ready(space))
    banks = epoch.checkpoint()["projector"]
    for name in ("students", "teachers"):
        lengths = banks[f"0.memory.{name}"].norm(dim=-1)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_a_projector_is_trained_and_never_part_of_the_student(image_space: Make, ready: Ready) -> None:
    run = ready(image_space(loss={"kind": "hint"}, optim={"weight_decay": 0.1}))
    plain = ready(image_space(loss={"kind": "soft_targets"}))
    first, last = (deepcopy(epoch.checkpoint()) for epoch in epochs_of(run))
    without, _ = (epoch.checkpoint() for epoch in epochs_of(plain))
    assert last["student"].keys() == without["student"].keys()
    assert "projector" not in without
    assert last["projector"]
    assert not any(torch.equal(kept, last["projector"][name]) for name, kept in first["projector"].items())


def test_a_projector_has_groups_of_its_own_in_the_optimizer_with_the_students_settings(
    image_space: Make, ready: Ready
) -> None:
    config, preparation = ready(image_space(loss={"kind": "hint"}, optim={"weight_decay": 0.1}))
    run = Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))
    assert run.taught is not None
    run._step(3)
    *students, matrices, biases = run.optimizer.param_groups
    assert {p for group in students for p in group["params"]} == set(run.student.parameters())
    assert {*matrices["params"], *biases["params"]} == set(run.taught.terms.parameters())
    assert [each["weight_decay"] for each in (matrices, biases)] == [each["weight_decay"] for each in students]
    assert len({group["lr"] for group in run.optimizer.param_groups}) == 1


def test_a_clipped_gradient_is_that_of_student_and_projector_together(image_space: Make, ready: Ready) -> None:
    config, preparation = ready(image_space(loss={"kind": "hint"}, optim={"gradient_clip": 0.01}))
    run = Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))
    run._learn(next(run.batches.epoch(1)), 0)
    gradients = [p.grad for p in run.trained.parameters() if p.grad is not None]
    assert len(gradients) == len(list(run.student.parameters())) + 2
    assert nn.utils.get_total_norm(gradients) == pytest.approx(0.01, rel=1e-3)
