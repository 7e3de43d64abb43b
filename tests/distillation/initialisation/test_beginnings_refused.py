"""Students that cannot begin as configured are refused before anything is trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beginnings import NEEDY, begun, refused, space_of
from runs import IMAGES, TABLE, run_space
from small_trainings import Ready
from torch import nn

from distill_tune.config import Config
from distill_tune.distillation.initialisation import Initialisation
from distill_tune.distillation.materials.materials import Materials
from distill_tune.errors import TeacherError
from distill_tune.registry import STUDENTS


@pytest.mark.parametrize("init", NEEDY)
def test_a_teacher_of_another_family_is_refused(init: str, tmp_path: Path) -> None:
    space = run_space(IMAGES, student={"family": "mlp", "init": init})
    assert refused(space, tmp_path) == (
        f"student.init: '{init}' needs a student of the teacher's family ('convnet'), but got 'mlp'; make both one "
        "family, or choose another init."
    )


@pytest.mark.parametrize("init", NEEDY)
def test_a_space_is_refused_for_any_student_of_it(init: str, tmp_path: Path) -> None:
    student = {"family": ["convnet", "mlp"], "init": ["default", init], "convnet": {"width": 8}}
    space = run_space(IMAGES, student=student)
    assert "but got 'mlp'" in refused(space, tmp_path)


def test_a_space_is_refused_for_any_width_of_it(tmp_path: Path) -> None:
    said = refused(space_of("truncate", "convnet", {"width": {"choice": [4, 8]}}), tmp_path)
    assert said.endswith("write student.convnet.width = 4.")


@pytest.mark.parametrize("first", [*NEEDY, "default"])
def test_students_of_one_beginning_do_not_use_up_the_look_at_those_of_another(first: str, tmp_path: Path) -> None:
    student = {"width": {"choice": list(range(1, 127))}, "depth": {"choice": [1, 2, 3, 4]}}
    teacher = {"family": "mlp", "mlp": {"width": 1}}
    init = {"init": [first, "truncate"] if first != "truncate" else ["truncate"]}
    space = run_space(TABLE, teacher=teacher, student={"family": "mlp", **init, "mlp": student})
    said = refused(space.with_fixed("student", "truncate", {"layers": 9}), tmp_path)
    assert said.startswith("student.truncate.layers: must be at most 1 (")


@pytest.mark.parametrize("init", ["inherit", "inherit_progressive"])
def test_a_family_of_ones_own_is_refused(init: str, tmp_path: Path) -> None:
    name = "test_beginnings_refused:plain"
    space = run_space(TABLE, student={"family": name, "init": init}, teacher={"family": name})
    said = refused(space, tmp_path)
    assert said == (
        f"student.init: '{init}' knows the layers of convnet, mlp, resnet, but not those of '{name}'; choose another "
        "init, or make it a class that inherits from distill_tune.students:Student and has a method wiring."
    )


def plain(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Linear(input_shape[0], classes)


@pytest.fixture
def logits_of_blobs(tmp_path: Path) -> str:
    np.save(tmp_path / "logits.npy", np.random.default_rng(0).normal(size=(600, 4)))
    return str(tmp_path / "logits.npy")


@pytest.mark.parametrize("init", NEEDY)
def test_logits_have_no_weights_to_begin_with(init: str, logits_of_blobs: str, tmp_path: Path) -> None:
    logits = {"source": "logits", "path": logits_of_blobs}
    said = refused(run_space(TABLE, teacher=logits, student={"init": init}), tmp_path)
    assert said == (
        f"student.init: '{init}' needs the teacher's weights, but source = 'logits' has only logits; name a teacher "
        "that can run, or leave it out."
    )


def mlp_of_blobs(width: int) -> nn.Module:
    network: nn.Module = STUDENTS.get("mlp")(widths=[width]).build((8,), 4)
    return network


@pytest.fixture
def torch_teacher(tmp_path: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    torch.save(mlp_of_blobs(20).state_dict(), tmp_path / "weights.pt")
    options = {"factory": "test_beginnings_refused:mlp_of_blobs", "arguments": {"width": 20}}
    return {"source": "torch", "path": str(tmp_path / "weights.pt"), "torch": options}


def test_a_torch_teacher_is_inherited_from_where_its_family_is_told(torch_teacher: Any, ready: Ready) -> None:
    teacher = {**torch_teacher, "family": "mlp", "mlp": {"widths": [20]}}
    space = run_space(TABLE, teacher=teacher, student={"init": "inherit", "mlp": {"widths": [20]}})
    config, preparation = ready(space)
    student, materials = begun((config, preparation))
    inputs = materials.train_inputs[:50]
    with torch.no_grad():
        torch.testing.assert_close(student(inputs), preparation.teacher.module(inputs), atol=1e-5, rtol=1e-5)


class Quarter(Initialisation):
    """A custom initialisation from a teacher of any structure."""

    needs_teacher = True

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> None:
        assert materials.teacher_weights is not None
        norm = materials.teacher_weights.norm
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.fill_(norm / 4)


def test_an_initialisation_of_ones_own_need_not_know_how_the_teacher_is_built(torch_teacher: Any, ready: Ready) -> None:
    space = run_space(TABLE, teacher={**torch_teacher, "family": None}, student={"init": f"{__name__}:Quarter"})
    config, preparation = ready(space)
    student, _ = begun((config, preparation))
    norm = sum(float(p.square().sum()) for p in preparation.teacher.module.parameters()) ** 0.5
    assert all(torch.allclose(p, torch.tensor(norm / 4)) for p in student.parameters())


def test_a_torch_teacher_whose_family_is_not_told_or_told_wrongly_is_refused(
    torch_teacher: Any, tmp_path: Path
) -> None:
    inherit = {"init": "inherit"}
    said = refused(run_space(TABLE, teacher={**torch_teacher, "family": None}, student=inherit), tmp_path)
    assert said.startswith("student.init: 'inherit' must know how the teacher is built, but teacher.family is not set;")
    assert said.endswith("; set it, and its table, to what the teacher is, or choose another init.")
    wrong = {**torch_teacher, "family": "mlp", "mlp": {"widths": [21]}}
    said = refused(run_space(TABLE, teacher=wrong, student=inherit), tmp_path, TeacherError)
    assert said.startswith(
        "teacher.family: the teacher's weights are not those of 'mlp' with the options of its table ("
    )
    assert "\n" not in said


def test_a_torch_teacher_whose_weights_fit_a_family_that_computes_something_else_is_refused(
    torch_teacher: Any, tmp_path: Path
) -> None:
    other = {**torch_teacher, "family": "mlp", "mlp": {"widths": [20], "activation": "gelu"}}
    said = refused(run_space(TABLE, teacher=other, student={"init": "inherit"}), tmp_path, TeacherError)
    assert said.startswith(
        "teacher.family: the teacher's weights fit 'mlp' with the options of its table, but its logits differ from the "
        "teacher's by "
    )
    assert "\n" not in said
