"""Try custom optimizers on students with made-up gradients before anything is trained."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.data import Dataset
from distill_tune.distillation.devices import device_for, is_missing, memory_given_back
from distill_tune.distillation.optimizers import LaneStep, OptimizerKind
from distill_tune.distillation.optimizers._direct import DirectOptimizer, Optimizer
from distill_tune.errors import ConfigError, one_line
from distill_tune.students import Student, student_on

_NEEDED = ("param_groups", "step", "zero_grad", "state_dict", "load_state_dict")
_STEPS = 3
_RATES, _DECAY = (0.05, 0.1), 0.1
"""Learning rate of each lane, and weight decay of all: if an optimizer ignores one, the weights show it."""


def check_optimizers(space: Space, dataset: Dataset) -> None:
    """Make some steps with each custom optimizer, in lanes too if it declares that it can.

    Raises:
        ConfigError: it cannot train, or behaves differently in lanes.
    """
    with memory_given_back(device_for(space.config)):
        for name in space.names("optim", "kind"):
            if ":" in name:
                _try(name, space, dataset)


def _try(name: str, space: Space, dataset: Dataset) -> None:
    """Try it with one student per lane, on the trials' device if this machine has it."""
    try:
        config = space.at(space.middle(chosen={("optim", "kind"): name}))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            students = [student_on(Student.of(config.student), dataset).to(device_for(config)) for _ in _RATES]
    except ConfigError:  # this student cannot be built; others of the space may be
        return
    _check(name, OptimizerKind.of(config.optim), students, can_move=not is_missing(config))


def _check(name: str, kind: OptimizerKind, students: list[nn.Module], can_move: bool) -> None:
    """Make steps with each student; if the optimizer supports lanes, compare with the same steps there."""
    before = torch.stack([_row(student) for student in students])
    each = [kind.build(student, rate, _DECAY) for student, rate in zip(students, _RATES, strict=True)]
    _check_made(name, each[0])
    _check_rates(name, each)
    if not can_move:
        return
    gradients = torch.randn(_STEPS, *before.shape, generator=torch.Generator().manual_seed(0)).to(before.device)
    try:
        for step in gradients:
            for student, optimizer, gradient in zip(students, each, step, strict=True):
                _move(student, optimizer, gradient)
    except Exception as error:  # user code may raise anything
        raise ConfigError(
            f"optim.kind: what `build` of {name!r} gives cannot make a step from gradients alone ({one_line(error)}); "
            "mend it, or build another."
        ) from error
    if any(torch.equal(_row(student), row) for student, row in zip(students, before, strict=True)):
        raise ConfigError(
            f"optim.kind: what `build` of {name!r} gives must move the student's weights, but after {_STEPS} steps "
            "they are as before; give it those of the module."
        )
    if kind.over_lanes and (what := _what_lanes_do(kind, students, each[0], before, gradients)):
        raise ConfigError(
            f"optim.kind: {name!r} says that it is `over_lanes`, but {what}; mend it, or leave `over_lanes` out."
        )


def _check_made(name: str, made: object) -> None:
    if lacking := [each for each in _NEEDED if not hasattr(made, each)]:
        raise ConfigError(
            f"optim.kind: `build` of {name!r} must give an optimizer, as those of torch.optim are, but gave "
            f"{type(made).__name__}, which lacks {' and '.join(lacking)}; mend it."
        )


def _check_rates(name: str, made: list[Optimizer]) -> None:
    """Check that each uses the learning rate that it was built with, which the schedule scales in every step."""
    one, other = ([group.get("lr") for group in each.param_groups] for each in made)
    rate = next((rate for rate in one if rate is not None), None)  # without any, the optimizer has its own pace
    if one == other and rate is not None:
        raise ConfigError(
            f"optim.kind: `build` of {name!r} must give its `learning_rate` to the optimizer, but builds it with "
            f"{float(rate):g} whatever that is; hand it on as lr."
        )


def _what_lanes_do(
    kind: OptimizerKind, students: list[nn.Module], made: Optimizer, before: Tensor, gradients: Tensor
) -> str:
    """What is wrong with the steps in lanes from `before`, compared with `students` trained alone; empty if nothing."""
    if not isinstance(made, DirectOptimizer):
        return "its `build` gives no DirectOptimizer, whose running tensors lanes can hold"
    weights, moved = _trained(students[0]), {id(each) for group in made.param_groups for each in group["params"]}
    if not all(id(each) in moved for each in weights):
        return "its `build` leaves out some weights"
    decays = [torch.full_like(each, _DECAY if each.dim() > 1 else 0.0).flatten() for each in weights]
    rows, decay = before.clone(), torch.cat(decays).expand_as(before)
    rate = torch.tensor(_RATES, device=before.device).unsqueeze(1)
    memories = [torch.zeros_like(rows) for _ in made.running(weights[0])[0]]
    try:
        for number, step in enumerate(gradients, 1):
            count = torch.full_like(rate, float(number))
            kind.step_lanes(LaneStep(rows, step.clone(), memories, rate, decay, count))
    except Exception as error:  # user code may raise anything
        return f"its `step_lanes` raises {one_line(error)}"
    alone = torch.stack([_row(student) for student in students])
    is_right = torch.allclose(rows - before, alone - before, rtol=1e-3, atol=1e-5)
    return "" if is_right else "its `step_lanes` moves the weights otherwise than what `build` gives does"


def _trained(student: nn.Module) -> list[nn.Parameter]:
    return [each for each in student.parameters() if each.requires_grad]


def _row(student: nn.Module) -> Tensor:
    """All trained weights in one row, as lanes hold them."""
    return torch.cat([each.detach().flatten() for each in _trained(student)])


def _move(student: nn.Module, optimizer: Optimizer, gradient: Tensor) -> None:
    weights = _trained(student)
    parts = gradient.split([each.numel() for each in weights])
    for each, part in zip(weights, parts, strict=True):
        each.grad = part.view_as(each).clone()
    optimizer.step()
    optimizer.zero_grad()
