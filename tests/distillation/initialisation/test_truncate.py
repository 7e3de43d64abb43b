"""What `truncate` makes of a student: the teacher's first layers, or an error that says how to make them fit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from beginnings import OWN, begun, refused, space_of
from runs import TABLE, run_space
from small_trainings import Ready
from torch import nn

from distill_tune.distillation.initialisation import Shapes
from distill_tune.errors import ConfigError


def test_a_truncated_student_has_the_teachers_first_layers_and_new_ones_behind(ready: Ready) -> None:
    space = space_of("truncate", "mlp", {"widths": [32, 24]}).with_fixed("student", "truncate", {"layers": 2})
    run = ready(space)
    student, teacher = begun(run)[0].state_dict(), run[1].teacher.module.state_dict()
    plain = begun(ready(space_of("default", "mlp", {"widths": [32, 24]})))[0].state_dict()
    for name, tensor in student.items():
        assert torch.equal(tensor, plain[name] if name.startswith("network.5") else teacher[name])


@pytest.mark.parametrize("family", ["convnet", "resnet"])
def test_a_truncated_network_sees_what_the_teacher_sees_after_its_first_layers(family: str, ready: Ready) -> None:
    run = ready(space_of("truncate", family))
    student, materials = begun(run)
    maps = []
    for network in (student.eval(), run[1].teacher.module):
        first = nn.Sequential(network.normalise, *list(network.network.children())[:2])
        maps.append(first(materials.train_inputs[:10]).detach())
    assert torch.equal(*maps)


@pytest.mark.parametrize(
    ("family", "student", "layers", "said"),
    [
        (
            "mlp",
            {"widths": [32, 20]},
            2,
            "student.init: 'truncate' takes the teacher's first 2 layers as they are, but the student's look "
            "otherwise; write student.mlp.widths = [32, 24, ...].",
        ),
        (
            "mlp",
            {"width": 20, "depth": 3},
            1,
            "student.init: 'truncate' takes the teacher's first layer as it is, but the student's look "
            "otherwise; write student.mlp.widths = [32, ...].",
        ),
        (
            "mlp",
            {"widths": [32]},
            2,
            "student.truncate.layers: must be at most 1 (the teacher has 2 layers, the student 1), but got 2.",
        ),
        (
            "convnet",
            {"width": 8, "kernel": 5, "norm": "none"},
            1,
            "student.init: 'truncate' takes the teacher's first layer as it is, but the student's look "
            "otherwise; write student.convnet.width = 4, student.convnet.kernel = 3, student.convnet.norm = 'batch'.",
        ),
        (
            "resnet",
            {"width": 4, "depth": 1},
            3,
            "student.init: 'truncate' takes the teacher's first 3 layers as they are, but the student's look "
            "otherwise; write student.resnet.depth = 2.",
        ),
        (
            OWN,
            {"width": 16, "narrow": 4, "depth": 2},
            2,
            "student.init: 'truncate' takes the teacher's first 2 layers as they are, but the student's look "
            'otherwise; write student."odd_students:Skipping".narrow = 6.',
        ),
    ],
)
def test_layers_that_do_not_fit_are_refused_with_what_to_write(
    family: str, student: dict[str, Any], layers: int, said: str, tmp_path: Path
) -> None:
    space = space_of("truncate", family, student).with_fixed("student", "truncate", {"layers": layers})
    assert refused(space, tmp_path) == said


def test_an_option_that_the_teacher_does_without_is_told_to_be_left_out(tmp_path: Path) -> None:
    teacher = {"family": "mlp", "mlp": {"width": 32}}
    said = refused(space_of("truncate", "mlp", {"widths": [20, 20]}, teacher=teacher), tmp_path)
    assert said.endswith("look otherwise; write student.mlp.width = 32 and leave out student.mlp.widths.")


def test_a_student_that_was_not_looked_at_beforehand_is_refused_as_it_begins(ready: Ready) -> None:
    space = space_of("truncate", "mlp")
    _, preparation = ready(space)
    for layers, said in ((2, "the student's look otherwise"), (9, "must be at most 2")):
        config = space.with_fixed("student", "truncate", {"layers": layers}).config
        with pytest.raises(ConfigError, match=said):
            begun((config, preparation))


def test_as_many_named_blocks_as_were_asked_for_are_taken_or_the_student_is_refused(ready: Ready) -> None:
    name = "test_truncate:bare"
    space = run_space(TABLE, teacher={"family": name}, student={"family": name, "init": "truncate"})
    _, preparation = ready(space)
    config = space.with_fixed("student", "truncate", {"layers": 3}).config
    with pytest.raises(ConfigError, match="must be at most 2"):
        begun((config, preparation))


BUILT = list[bool]()
"""For each network that `bare` has built, whether it was on the meta device."""


def bare(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    hidden = [nn.Linear(input_shape[0], input_shape[0]) for _ in range(2)]
    BUILT.append(hidden[0].weight.is_meta)
    return nn.Sequential(*hidden, nn.Linear(input_shape[0], classes))


def test_students_are_looked_at_without_numbers() -> None:
    BUILT.clear()
    space = run_space(TABLE, teacher={"family": f"{__name__}:bare"}, student={"family": f"{__name__}:bare"})
    config = space.with_fixed("student", "init", "truncate").config
    config.student.chosen("init").check(config, Shapes((8,), 4))
    assert BUILT == [True, True]
