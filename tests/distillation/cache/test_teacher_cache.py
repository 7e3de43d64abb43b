"""The teacher's cached outputs: what they are keyed by, their write protection, and recovery from damage."""

import multiprocessing
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_trainings import Make, Ready
from torch import Tensor, nn

from distill_tune.config import Config, Space
from distill_tune.distillation.cache.folders import number_of_views, outputs_folder
from distill_tune.distillation.cache.labelling import at_a_time, label_inputs
from distill_tune.distillation.cache.outputs import TeacherOutputs
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import CacheError, ConfigError, TeacherError
from distill_tune.evaluation.portions import MOST
from distill_tune.teachers import LoadedTeacher


def outputs_of(config: Config, preparation: Any) -> Path:
    folder: Path = outputs_folder(preparation.prepared.teacher_folder, config)
    return folder


@pytest.mark.parametrize("mixup", [0.0, 0.5])
def test_every_view_holds_what_the_teacher_says_of_it(table_space: Make, ready: Ready, mixup: float) -> None:
    config, preparation = ready(table_space(augmentation={"mixup": mixup}, teacher={"views": 3}))
    materials = Materials.open(preparation.prepared, config)
    everything = torch.arange(len(materials.labels))
    assert materials.teacher is not None
    assert materials.teacher.num_views == (3 if mixup else 1)
    for view in range(materials.teacher.num_views):
        with torch.inference_mode():
            expected = preparation.teacher.module(materials.views.take(everything, view).inputs)
        torch.testing.assert_close(materials.teacher.logits(view), expected)
    with torch.inference_mode():
        torch.testing.assert_close(
            materials.teacher.validation, preparation.teacher.module(materials.validation_inputs)
        )


def test_views_of_several_augmentations_are_said_to_be_of_each(table_space: Make, tmp_path: Path) -> None:
    said = list[str]()
    space = table_space(augmentation={"noise": {"choice": [0.0, 0.5]}, "swap": 0.1}, teacher={"views": 3})
    prepare(space, tmp_path, said.append)
    told = [line.rpartition(" samples in ")[2] for line in said if line.startswith("teacher labels ")]
    assert told == ["3 views (swap 0.1)", "3 views (noise 0.5, swap 0.1)"]


def test_a_teacher_that_is_trained_here_learns_from_other_views_than_it_labels(table_space: Make, ready: Ready) -> None:
    """Each of its generations learns from yet other views."""
    config, preparation = ready(table_space(augmentation={"noise": 0.5}, teacher={"views": 3}))
    generations = [
        config.model_copy(update={"search": config.search.model_copy(update={"seed": seed})}) for seed in (0, 1)
    ]
    student = Materials.open(preparation.prepared, config)
    teachers = [Materials.open(preparation.prepared, each, see_all=True) for each in generations]
    everything = torch.arange(len(student.labels))
    seen = [each.views.take(everything, 0).inputs for each in (student, *teachers)]
    for one, other in combinations(seen, 2):
        assert (one - other).abs().min() > 0
    assert torch.equal(student.views.take(everything, 0).inputs, seen[0])


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({}, 1),
        ({"teacher": {"views": 5}}, 1),
        ({"augmentation": {"mixup": 0.0}}, 1),
        ({"augmentation": {"mixup": 0.5}}, 3),
        ({"augmentation": {"mixup": 0.5}, "search": {"max_epochs": 27}}, 8),
        ({"augmentation": {"mixup": 0.5}, "data": {"passes": 2}}, 6),
        ({"augmentation": {"mixup": 0.5}, "teacher": {"views": 5}}, 5),
        ({"augmentation": {"mixup": 0.5}, "teacher": {"mode": "live", "views": 5}}, 0),
    ],
    ids=str,
)
def test_there_are_as_many_views_as_can_be_shown(table_space: Make, sections: dict[str, Any], expected: int) -> None:
    assert number_of_views(table_space(**sections).config) == expected


def test_another_augmentation_has_other_outputs_and_what_does_not_matter_has_the_same(table_space: Make) -> None:
    def folder(**sections: Any) -> Path:
        return outputs_folder(Path(), table_space(**sections).config)

    assert folder(augmentation={"mixup": 0.5}) != folder(augmentation={"mixup": 0.4})
    assert folder(augmentation={"mixup": 0.5}) != folder(augmentation={"mixup": 0.5}, teacher={"views": 4})
    assert folder(augmentation={"mixup": 0.0}) == folder() == folder(loss={"temperature": 2.0}, teacher={"views": 4})
    live = {"teacher": {"mode": "live"}}
    assert folder(augmentation={"mixup": 0.5}, **live) == folder(augmentation={"mixup": 0.4}, **live)


def test_outputs_are_mapped_and_cannot_be_written_to(table_space: Make, ready: Ready) -> None:
    """A process that writes to them anyway is killed, and the file stays unchanged."""
    folder = outputs_of(*ready(table_space()))
    before = (folder / "train.arrow").read_bytes()
    code = (
        "import sys; from pathlib import Path; from distill_tune.distillation.cache.outputs import TeacherOutputs\n"
        "logits = TeacherOutputs(Path(sys.argv[1])).logits(0); print(logits.sum().item(), flush=True); logits.zero_()"
    )
    process = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=False)
    assert float(process.stdout) == pytest.approx(TeacherOutputs(folder).logits(0).sum().item())
    assert process.returncode < 0  # killed by a signal
    assert (folder / "train.arrow").read_bytes() == before


@pytest.mark.parametrize("name", ["train.arrow", "validation.arrow", "checksums.json"])
@pytest.mark.parametrize("place", [0, 0.5, -1])
def test_outputs_damaged_by_one_byte_are_rebuilt_and_said(
    table_space: Make, tmp_path: Path, name: str, place: float
) -> None:
    space, said = table_space(teacher={"train": {"epochs": 1}}), list[str]()
    folder = outputs_of(space.config, prepare(space, tmp_path, said.append))
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    content = bytearray(whole[name])
    content[int(place * len(content)) if place >= 0 else -1] ^= 1
    (folder / name).write_bytes(content)
    said.clear()
    prepare(space, tmp_path, said.append)
    assert any("do not match their checksums; they are made again" in line for line in said)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
    said.clear()
    prepare(space, tmp_path, said.append)
    assert not any("made again" in line or "labels" in line for line in said)


def test_missing_outputs_are_a_cache_error(tmp_path: Path) -> None:
    with pytest.raises(CacheError):
        TeacherOutputs(tmp_path)


def test_a_preparation_leaves_nothing_half_done_or_temporary(table_space: Make, tmp_path: Path) -> None:
    space = table_space(teacher={"train": {"epochs": 1}})
    folder = outputs_of(space.config, prepare(space, tmp_path, lambda line: None))
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted(["teacher.safetensors", folder.name])
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]


def prepare_in(tables: dict[str, Any], cache: Path) -> None:
    prepare(Space.parse(tables), cache, lambda line: None)


def test_two_programs_may_prepare_at_a_time(table_space: Make, tmp_path: Path) -> None:
    space = table_space(augmentation={"mixup": 0.5}, teacher={"views": 20})
    spawn = multiprocessing.get_context("spawn")
    programs = [spawn.Process(target=prepare_in, args=(space.tables, tmp_path)) for _ in range(2)]
    for program in programs:
        program.start()
    for program in programs:
        program.join()
    assert [program.exitcode for program in programs] == [0, 0]
    said: list[str] = []
    prepare(space, tmp_path, said.append)
    assert not any("made again" in line or "labels" in line for line in said)


def test_each_choice_of_an_augmentation_has_its_outputs(table_space: Make, ready: Ready) -> None:
    space = table_space(augmentation={"mixup": {"choice": [0.0, 0.2, 0.5]}}, teacher={"views": 2})
    _, preparation = ready(space)
    counts = []
    for amount in (0.0, 0.2, 0.5):
        config = space.at({"augmentation.mixup": amount})
        materials = Materials.open(preparation.prepared, config)
        assert materials.teacher is not None
        counts.append(materials.teacher.num_views)
    assert counts == [1, 2, 2]


def test_a_continuous_augmentation_is_refused_where_outputs_are_cached(table_space: Make, tmp_path: Path) -> None:
    space = table_space(augmentation={"mixup": {"uniform": [0.1, 0.5]}})
    with pytest.raises(ConfigError, match=r"^augmentation\.mixup: must be a value or .* teacher.mode = 'live'\.$"):
        prepare(space, tmp_path, lambda line: None)
    assert list(tmp_path.iterdir()) == []


def test_a_continuous_augmentation_can_be_searched_with_a_live_teacher(table_space: Make, ready: Ready) -> None:
    space = table_space(augmentation={"mixup": {"uniform": [0.1, 0.5]}}, teacher={"mode": "live"})
    _, preparation = ready(space)
    materials = Materials.open(preparation.prepared, space.at({"augmentation.mixup": 0.3331}))
    assert materials.teacher is not None
    assert materials.teacher.num_views == 0
    assert len(materials.teacher.validation) == len(materials.validation_labels)


def test_a_transform_of_images_is_refused_on_a_table_for_students_and_teachers(
    table_space: Make, tmp_path: Path
) -> None:
    with pytest.raises(
        ConfigError, match=r"^augmentation\.flip: cannot be used on tables; for tables there are: mixup"
    ):
        prepare(table_space(augmentation={"flip": 0.5}), tmp_path, lambda line: None)
    recipe = {"train": {"epochs": 1, "augmentation": {"flip": 0.5}}}
    with pytest.raises(TeacherError, match=r"^teacher\.train\.augmentation\.flip: cannot be used on tables; "):
        prepare(table_space(teacher=recipe), tmp_path, lambda line: None)


def test_logits_that_are_gone_are_an_error_and_no_training_without_a_teacher(table_space: Make, tmp_path: Path) -> None:
    space = table_space(teacher={"train": {"epochs": 1}})
    preparation = prepare(space, tmp_path, lambda line: None)
    (outputs_of(space.config, preparation) / "train.arrow").unlink()
    materials = Materials.open(preparation.prepared, space.config)
    with pytest.raises(CacheError, match="the teacher's logits are missing"):
        materials.batches(space.config, 0, Shard(), use_teacher=True)


def test_a_network_that_makes_large_images_of_small_ones_sees_fewer_at_a_time() -> None:
    plain, enlarging = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))
    enlarging.reads = (3, 224, 224)  # type: ignore[assignment]  # as a Hugging Face teacher declares
    assert at_a_time(enlarging, (1, 28, 28)) < at_a_time(plain, (1, 28, 28))
    assert at_a_time(enlarging, (1, 28, 28)) == at_a_time(plain, (3, 224, 224))


def ends_in_a_softmax() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 4), nn.Softmax(1))


@pytest.mark.parametrize("mode", ["cached", "live"])
@pytest.mark.parametrize("is_member", [False, True])
def test_a_network_that_ends_in_a_softmax_is_refused_before_it_labels(
    table_space: Make, tmp_path: Path, mode: str, is_member: bool
) -> None:
    save_file(ends_in_a_softmax().state_dict(), tmp_path / "w.safetensors")
    factory = {"factory": "test_teacher_cache:ends_in_a_softmax"}
    teacher: dict[str, Any] = {"source": "torch", "path": str(tmp_path / "w.safetensors"), "torch": factory}
    if is_member:
        other = {"source": "train", "family": "mlp", "train": {"epochs": 1}}
        teacher = {"source": "ensemble", "ensemble": {"members": {"a": teacher, "b": other}}}
    said: list[str] = []
    who = r"teacher\.ensemble\.members\.a" if is_member else "teacher"
    with pytest.raises(
        TeacherError, match=rf"^{who}: its outputs are probabilities, which a temperature cannot soften; "
    ):
        prepare(table_space(teacher=teacher | {"mode": mode}), tmp_path / "cache", said.append)
    assert not [line for line in said if "labels" in line]
    assert not list(tmp_path.glob("cache/**/views-*"))


def test_a_teacher_of_ones_own_that_writes_into_its_inputs_leaves_the_data_as_they_were() -> None:
    rows = np.array([[1.0, -2.0], [-3.0, 4.0]], dtype=np.float32)
    before, teacher = rows.copy(), LoadedTeacher(parameters=0, module=nn.ReLU(inplace=True))
    np.testing.assert_array_equal(label_inputs(teacher, rows, np.arange(2)), before.clip(0))
    np.testing.assert_array_equal(rows, before)


class Squeezing(nn.Module):
    """Drops the batch axis if there is a single sample."""

    def forward(self, rows: Tensor) -> Tensor:
        return rows.squeeze()


class Overwriting(nn.Module):
    """Returns the same memory on every call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("made", torch.zeros(MOST, 2))

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.made[: len(rows)].copy_(rows)
        return found


@pytest.mark.parametrize("network", [Squeezing, Overwriting])
@pytest.mark.parametrize("count", [1, MOST, MOST + 1])
def test_a_teacher_says_the_same_of_samples_however_many_go_at_a_time(network: type[nn.Module], count: int) -> None:
    rows = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    teacher = LoadedTeacher(parameters=0, module=network())
    np.testing.assert_array_equal(label_inputs(teacher, rows, np.arange(count)), rows)
