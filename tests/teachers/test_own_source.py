"""A custom teacher source: the folder that it may keep things in, and a network left in training mode."""

from pathlib import Path

import pytest
import torch
from runs import run_space
from torch import nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher, Teacher, TeacherContext


class Training(Teacher):
    """As after its last training epoch: dropout is on, and weights would learn."""

    def identity(self, config: TeacherConfig, data_spec: DataSpec) -> str:
        return "training"

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        torch.manual_seed(0)
        return LoadedTeacher(0, nn.Sequential(nn.Linear(*data_spec.input_shape, 32), nn.Dropout(), nn.Linear(32, 4)))


class Keeping(Training):
    """Keeps its weights in the folder it is given."""

    fails: bool = False

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        if self.fails:
            raise TeacherError("no teacher today")
        teacher = super().load(config, data_spec, context)
        assert teacher.module is not None
        torch.save(teacher.module.state_dict(), context.folder / "own.pt")
        return teacher


def test_it_labels_and_is_frozen_as_in_evaluation(tmp_path: Path) -> None:
    space = run_space(teacher={"source": "test_own_source:Training"})
    preparation = prepare(space, tmp_path, lambda line: None)
    materials, module = Materials.open(preparation.prepared, space.config), preparation.teacher.module
    assert module is not None
    assert materials.teacher is not None
    assert not any(each.training for each in module.modules())
    assert not any(weight.requires_grad for weight in module.parameters())
    torch.testing.assert_close(materials.teacher.logits(0), module(materials.train_inputs))


def test_its_folder_is_there_when_it_is_loaded(tmp_path: Path) -> None:
    space = run_space(teacher={"source": "test_own_source:Keeping"})
    folder = prepare(space, tmp_path, lambda line: None).prepared.teacher_folder
    assert folder is not None
    assert (folder / "own.pt").is_file()


def test_its_folder_goes_again_where_it_is_refused(tmp_path: Path) -> None:
    teacher = {"source": "test_own_source:Keeping", "test_own_source:Keeping": {"fails": True}}
    with pytest.raises(TeacherError, match="no teacher today"):
        prepare(run_space(teacher=teacher), tmp_path, lambda line: None)
    assert not list(tmp_path.glob("teacher-*"))
