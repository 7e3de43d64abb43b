"""A custom teacher source: the folder that it may keep things in, and a network left in training mode."""

from pathlib import Path

import pytest
import torch
from runs import TABLE, run_space
from torch import nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
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


class Exported(Training):
    """A program of `torch.export`, which refuses `eval()`."""

    def load(self, config: TeacherConfig, data_spec: DataSpec, context: TeacherContext) -> LoadedTeacher:
        module, rows = super().load(config, data_spec, context).module, torch.export.Dim("rows", min=1)
        assert module is not None
        inputs = torch.zeros(2, *data_spec.input_shape)
        program = torch.export.export(module.eval(), (inputs,), dynamic_shapes=({0: rows},))
        return LoadedTeacher(0, program.module())


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


@pytest.mark.parametrize("is_member", [False, True])
def test_an_exported_program_labels_and_runs_live_as_the_network_that_it_is_of(tmp_path: Path, is_member: bool) -> None:
    reports = []
    for name, mode in (("Training", "cached"), ("Exported", "cached"), ("Exported", "live")):
        section = {"source": f"test_own_source:{name}"}
        several = {"source": "ensemble", "ensemble": {"members": {"old": section}}}
        space = run_space({**TABLE, "teacher": {}}, teacher={**(several if is_member else section), "mode": mode})
        preparation = prepare(space, tmp_path / name / mode, lambda line: None)
        *_, last = distill(space.config, Materials.open(preparation.prepared, space.config), 0)
        reports.append({name: last.report[name] for name in ("train/loss", "train/soft_loss", "val/accuracy")})
    assert reports[1] == pytest.approx(reports[0], rel=1e-4)
    assert reports[2] == pytest.approx(reports[0], rel=1e-4)
