"""A student that takes over its teacher's layers reads its inputs as the teacher does, whatever way that is."""

from pathlib import Path

import pytest
import torch
from beginnings import begun
from runs import IMAGES, run_space
from small_trainings import Ready
from torch import nn

from distill_tune.config import Space
from distill_tune.distillation.initialisation._reading import check_reading
from distill_tune.errors import TeacherError
from distill_tune.registry import STUDENTS
from distill_tune.students import behind_normalisation


def mlp_of_digits(width: int) -> nn.Module:
    network: nn.Module = STUDENTS.get("mlp")(widths=[width]).build((1, 8, 8), 10)
    return network


def convnet_of_digits(width: int) -> nn.Module:
    network: nn.Module = STUDENTS.get("convnet")(width=width, depth=2).build((1, 8, 8), 10)
    return network


def other_reader(folder: Path, init: str, factory: str = "mlp_of_digits", depth: int = 2) -> Space:
    """A space whose teacher has its own image mean and deviation, and whose student is built like it."""
    torch.manual_seed(0)
    torch.save(globals()[factory](12).state_dict(), folder / "weights.pt")
    made_by = {"factory": f"test_reading:{factory}", "arguments": {"width": 12}, "mean": [0.1], "std": [0.02]}
    family, options = ("mlp", {"widths": [12]}) if factory == "mlp_of_digits" else ("convnet", {"width": 12})
    options |= {"depth": depth} if family == "convnet" else {}
    teacher = {"source": "torch", "path": str(folder / "weights.pt"), "torch": made_by, "family": family}
    base = {**IMAGES, "teacher": {}, "student": {}}
    return run_space(
        base, teacher={**teacher, family: options}, student={"family": family, "init": init, family: options}
    )


@pytest.mark.parametrize("init", ["inherit", "inherit_progressive"])
@pytest.mark.parametrize("factory", ["mlp_of_digits", "convnet_of_digits"])
def test_a_student_built_like_a_teacher_that_reads_otherwise_begins_as_it(
    init: str, factory: str, tmp_path: Path, ready: Ready
) -> None:
    config, preparation = ready(other_reader(tmp_path, init, factory))
    student, materials = begun((config, preparation))
    inputs = materials.train_inputs[:50]
    with torch.no_grad():
        expected = preparation.teacher.module(inputs)
        torch.testing.assert_close(student.eval()(inputs), expected, atol=1e-3, rtol=1e-4)


def test_a_truncated_student_reads_its_inputs_as_the_teacher_does(tmp_path: Path, ready: Ready) -> None:
    config, preparation = ready(other_reader(tmp_path, "truncate"))
    student, materials = begun((config, preparation))
    inputs = materials.train_inputs[:50]
    seen = [nn.Sequential(each.normalise, *each.network[:2])(inputs) for each in (student, preparation.teacher.module)]  # type: ignore[index]
    assert torch.equal(*seen)


@pytest.mark.parametrize("mean", [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]], ids=["alike", "each its own"])
def test_a_teacher_that_tells_more_channels_apart_than_there_are_is_refused(mean: list[float]) -> None:
    teacher = behind_normalisation(nn.Flatten(), (3, 8, 8), mean, [2.0] * 3)
    if len(set(mean)) == 1:
        check_reading("truncate", (1, 8, 8), teacher)
        return
    with pytest.raises(TeacherError, match=r"has 3 numbers for its mean and the images have 1 channel; set mean"):
        check_reading("truncate", (1, 8, 8), teacher)
