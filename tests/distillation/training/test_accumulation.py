"""Steps of several batches: the gradients of one large batch, and a live teacher that follows the student on each."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from distill_tune.config import Config, Space
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.accumulation import Accumulation
from distill_tune.distillation.training.loop import distill
from distill_tune.distillation.training.run import Run

Make = Callable[..., Space]
Ready = Callable[[Space], tuple[Config, Any]]
MOVING = {"temperature": 4.0, "temperature_end": 1.0, "soft_weight": 0.9, "soft_weight_end": 0.2}
HELD = {
    "student": {"init": "inherit_progressive"},
    "regularization": {"norm_ratio": 0.4},
    "optim": {"gradient_clip": 0.5, "weight_decay": 0.1},
}


def begun(space: Space, ready: Ready) -> Run:
    config, preparation = ready(space)
    return Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))


def trained(space: Space, ready: Ready) -> tuple[nn.Module, dict[str, float]]:
    config, preparation = ready(space)
    *_, last = distill(config, Materials.open(preparation.prepared, config), 0)
    return last.student, last.report


@given(batches=st.integers(1, 40), accumulate=st.integers(1, 50), epochs=st.integers(1, 3))
def test_every_batch_has_its_place_in_one_step_of_its_epoch(batches: int, accumulate: int, epochs: int) -> None:
    steps = Accumulation(batches, accumulate)
    turns = [steps.turn(number) for number in range(epochs * batches)]
    of_step = [[turn for turn in turns if turn.step == step] for step in range(epochs * steps.steps_per_epoch)]
    assert [turn for group in of_step for turn in group] == turns
    for group in of_step:
        assert 1 <= len(group) <= accumulate
        assert sum(turn.share for turn in group) == pytest.approx(1)
        assert [turn.begins for turn in group] == [True] + [False] * (len(group) - 1)
        assert [turn.ends for turn in group] == [False] * (len(group) - 1) + [True]
    sizes = [len(group) for group in of_step[: steps.steps_per_epoch]]
    assert sizes[:-1] == [accumulate] * (steps.steps_per_epoch - 1), "an epoch's last step alone may be shorter"


@pytest.mark.parametrize(
    "sections", [{"loss": MOVING}, HELD, {"optim": {"kind": "sgd"}}], ids=["moving", "held", "sgd"]
)
def test_four_batches_of_16_train_what_one_of_64_trains(
    table_space: Make, ready: Ready, sections: dict[str, Any]
) -> None:
    """On 320 samples, so that both batch sizes see the same samples in the same order."""
    data = {**table_space().tables["data"], "student_samples": 320}
    optim = {"learning_rate": 1e-2, **sections.get("optim", {})}
    sizes = ({"batch_size": 64}, {"batch_size": 16, "accumulate": 4}, {"batch_size": 16})
    students = [trained(table_space(**{**sections, "data": data, "optim": optim | size}), ready) for size in sizes]
    whole, parts, small = (torch.cat([p.flatten() for p in student.parameters()]) for student, _ in students)
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)
    assert (small - whole).abs().max() > 1e-2, "steps of 16 samples go elsewhere"
    assert students[1][1]["train/loss"] == pytest.approx(students[0][1]["train/loss"], rel=1e-4)


def test_the_batches_that_are_left_make_the_last_step_of_an_epoch(table_space: Make, ready: Ready) -> None:
    """No batch waits for the next epoch, so a checkpoint between epochs is enough to resume."""
    run = begun(table_space(optim={"batch_size": 64, "accumulate": 1000}), ready)
    before = [parameter.clone() for parameter in run.student.parameters()]
    assert run.total_steps == run.config.search.max_epochs
    run.next_epoch()
    assert not any(torch.equal(old, new) for old, new in zip(before, run.student.parameters(), strict=True))


def test_a_live_teacher_follows_the_student_on_each_batch_until_a_step_is_made(image_space: Make, ready: Ready) -> None:
    optim = {"batch_size": 128, "accumulate": 3, "learning_rate": 1e-2}
    run = begun(image_space(teacher={"mode": "live"}, augmentation={"shift": 1}, optim=optim), ready)
    order: list[tuple[str, float]] = []

    def hook(name: str) -> Callable[..., None]:
        return lambda module, inputs: order.append((name, inputs[0].double().sum().item()))

    teacher = run.materials.live_teacher
    assert teacher is not None
    handles = [
        run.student.register_forward_pre_hook(hook("student")),
        teacher.register_forward_pre_hook(hook("teacher")),
    ]
    step = run.optimizer.step
    run.optimizer.step = lambda: (order.append(("step", 0.0)), step())  # type: ignore[method-assign, func-returns-value]
    batches = run.batches.steps_per_epoch
    run._train()
    for handle in handles:
        handle.remove()
    names = [name for name, _ in order]
    whole, left = divmod(batches, 3)
    assert names == (["student", "teacher"] * 3 + ["step"]) * whole + (["student", "teacher"] * left + ["step"]) * bool(
        left
    )
    seen = [total for name, total in order if name != "step"]
    assert seen[::2] == seen[1::2], "both on the same batch"
    assert len(set(seen)) == batches, "and each batch another"
