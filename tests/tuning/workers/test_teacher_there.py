"""A teacher that is trained in another process of a cluster."""

from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from ray_searches import eventually
from runs import run_space
from seen_processes import command_of, commands

from distill_tune.config import Config
from distill_tune.config.searching import ResourcesConfig
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.preparation.teacher_work import TeacherWork
from distill_tune.errors import DistillTuneError
from distill_tune.tuning.workers import teacher_places
from distill_tune.tuning.workers.teacher_places import TeacherPlaces
from distill_tune.tuning.workers.teacher_there import train_there

pytestmark = [pytest.mark.ray, pytest.mark.timeout(120), pytest.mark.usefixtures("a_ray")]


class There(TeacherWork):
    """Trains no teacher in this process."""

    def train(self, *asked: Any) -> Any:
        return train_there(*asked)


def prepared(cache: Path, said: list[str], work: TeacherWork | None = None, **train: Any) -> Preparation:
    teacher = {"train": {"epochs": 3, "precision": "float32"} | train}
    return prepare(run_space(teacher=teacher), cache, said.append, work=work)


def test_it_is_the_one_that_is_trained_here_and_says_what_that_one_says(tmp_path: Path) -> None:
    there_said, here_said = list[str](), list[str]()
    there, here = prepared(tmp_path / "there", there_said, There()), prepared(tmp_path / "here", here_said)
    assert there.teacher.module is not None
    assert here.teacher.module is not None
    torch.testing.assert_close(there.teacher.module.state_dict(), here.teacher.module.state_dict())
    assert [line for line in there_said if line not in here_said] == [
        "the teacher is trained on the cluster, with 0 GPUs"
    ]
    assert [line for line in here_said if line not in there_said] == []


def test_what_is_wrong_with_its_training_is_said_in_its_own_words(tmp_path: Path) -> None:
    with pytest.raises(DistillTuneError) as there:
        prepared(tmp_path / "there", [], There(), learning_rate=1e30)
    with pytest.raises(DistillTuneError) as here:
        prepared(tmp_path / "here", [], learning_rate=1e30)
    assert (type(there.value), str(there.value)) == (type(here.value), str(here.value))


def test_the_process_in_which_it_was_trained_ends_with_all_that_it_holds_of_a_gpu(tmp_path: Path) -> None:
    at_work = set[psutil.Process]()

    class Looking(list[str]):
        def append(self, line: str) -> None:
            at_work.update(process for process, command in commands().items() if "ray::_train" in command)

    prepared(tmp_path, Looking(), There(), epochs=200)
    assert at_work
    eventually(lambda: not any(map(command_of, at_work)))


@pytest.mark.parametrize("has_gpu", [True, False])
def test_a_driver_trains_it_unless_trials_have_gpus_and_it_has_none(
    has_gpu: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = list[str]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(teacher_places, "train_there", lambda *asked: trained.append("there"))
    monkeypatch.setattr(TeacherWork, "train", lambda *asked: trained.append("here"))
    for gpus in (0.0, 0.5):
        config: Config = run_space(resources={"gpus_per_worker": gpus}).config
        TeacherPlaces(2, ResourcesConfig(), print).train({}, config, None, print)  # type: ignore[arg-type]
    assert trained == ["here", "here" if has_gpu else "there"]
