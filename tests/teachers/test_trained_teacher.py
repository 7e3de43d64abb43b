"""A teacher that is trained here: once, on all labels, and again only if something about it changes."""

import errno
import fcntl
import gc
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations, count
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from distill_tune.config import Space
from distill_tune.data import prepare_data
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation import teacher_training
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.preparation.ready_teachers import data_spec_of
from distill_tune.distillation.preparation.teacher_training import train_teacher
from distill_tune.distillation.training.run import Run
from distill_tune.errors import TeacherError
from distill_tune.teachers import LoadedTeacher, TeacherContext, Trained

Make = Callable[..., Space]
FAST: dict[str, Any] = {"train": {"epochs": 2, "precision": "float32"}}
"""Gives the same weights again, whatever is measured to be faster."""


def kept_by(space: Space, cache: Path) -> tuple[Path, list[str]]:
    """The path of the teacher's weights, and the messages."""
    said: list[str] = []
    return prepare(space, cache, said.append).prepared.teacher_folder / "teacher.safetensors", said


def trained(said: list[str]) -> bool:
    return any("training the teacher" in line for line in said)


def test_a_teacher_is_kept_and_used_again(table_space: Make, tmp_path: Path) -> None:
    kept, said = kept_by(table_space(teacher=FAST), tmp_path)
    before = kept.stat()
    again, said_again = kept_by(
        table_space(teacher=FAST, student={"mlp": {"widths": [5]}}, augmentation={"mixup": 0.3}), tmp_path
    )
    assert trained(said)
    assert not trained(said_again)
    assert again == kept
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


@pytest.mark.parametrize(
    "change",
    [
        {"teacher": {"train": {"epochs": 3}}},
        {"teacher": {"train": {"epochs": 2, "learning_rate": 1e-3}}},
        {"teacher": {"train": {"epochs": 2, "generations": 1}}},
        {"teacher": {"train": {"epochs": 2, "augmentation": {"mixup": 0.2}}}},
        {"teacher": {**FAST, "mlp": {"widths": [16]}}},
        {"teacher": FAST, "data": {"validation": 0.3}},
    ],
    ids=str,
)
def test_a_teacher_is_trained_again_when_its_recipe_or_the_data_change(
    table_space: Make, tmp_path: Path, change: dict[str, Any]
) -> None:
    kept, _ = kept_by(table_space(teacher=FAST), tmp_path)
    other, said = kept_by(table_space(**change), tmp_path)
    assert trained(said)
    assert other != kept
    assert kept.exists()


def test_a_teacher_of_ones_own_is_trained_again_when_its_code_changes(
    table_space: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "from torch import nn\ndef build(input_shape, classes):\n    return nn.Linear(input_shape[0], classes)\n"
    (tmp_path / "ones_own_teacher.py").write_text(code)
    space = table_space(teacher={"family": "ones_own_teacher:build", **FAST})
    kept, _ = kept_by(space, tmp_path / "cache")
    assert not trained(kept_by(space, tmp_path / "cache")[1])
    (tmp_path / "ones_own_teacher.py").write_text(code + "# another idea\n")
    other, said = kept_by(space, tmp_path / "cache")
    assert trained(said)
    assert other != kept


def test_what_is_used_again_is_what_was_trained(table_space: Make, tmp_path: Path) -> None:
    first, second = (prepare(table_space(teacher=FAST), tmp_path, lambda line: None).teacher for _ in range(2))
    assert first.module is not None
    assert second.module is not None
    inputs = torch.randn(20, 8)
    assert torch.equal(first.module(inputs), second.module(inputs))
    assert first.parameters == second.parameters == (8 + 1) * 32 + (32 + 1) * 4
    for module in (first.module, second.module):
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


class Halved(nn.Linear):
    """A custom network with weights in half precision."""

    def __init__(self, input_shape: tuple[int, ...], classes: int):
        super().__init__(input_shape[0], classes, dtype=torch.bfloat16)

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.bfloat16()).float()


def test_a_teacher_of_ones_own_may_have_weights_in_half_precision(table_space: Make, tmp_path: Path) -> None:
    space = table_space(teacher={**FAST, "family": "test_trained_teacher:Halved"})
    assert [trained(kept_by(space, tmp_path)[1]) for _ in range(2)] == [True, False]


def test_a_teacher_sees_all_labels_however_few_the_student_sees(table_space: Make, tmp_path: Path) -> None:
    def weights(**data: Any) -> dict[str, Tensor]:
        return load_file(kept_by(table_space(teacher=FAST, data=data), tmp_path)[0])

    all_labels, few = weights(), weights(student_samples=20)
    assert all(torch.equal(all_labels[name], few[name]) for name in all_labels)


@pytest.mark.parametrize("place", [3, 0.5, -1])
def test_a_kept_teacher_damaged_by_one_byte_is_trained_again_and_said(
    table_space: Make, tmp_path: Path, place: float
) -> None:
    space = table_space(teacher=FAST)
    kept, _ = kept_by(space, tmp_path)
    whole = kept.read_bytes()
    content = bytearray(whole)
    content[int(place * len(content)) if 0 < place < 1 else int(place)] ^= 1
    kept.write_bytes(content)
    _, said = kept_by(space, tmp_path)
    assert "the kept teacher does not match its checksum" in said
    assert trained(said)
    assert kept.read_bytes() == whole


@pytest.mark.parametrize("generations", [0, 2])
def test_what_it_was_trained_in_is_recorded_and_kept(table_space: Make, tmp_path: Path, generations: int) -> None:
    space = table_space(teacher={"train": {"epochs": 2, "precision": "bfloat16", "generations": generations}})
    first, again = (prepare(space, tmp_path, lambda line: None).teacher.record["training"] for _ in range(2))
    assert first == again
    assert (first["precision"], first["device"]) == ("bfloat16", "cpu")
    assert len(first["validation_accuracies"]) == 1 + generations


def test_each_generation_is_a_new_network_that_learned_from_the_one_before(table_space: Make, tmp_path: Path) -> None:
    """Distinct also from one trained on labels with the same seed, which learns from no predecessor."""
    born: list[Tensor] = []
    for generations in range(3):
        train = {"epochs": 2, "precision": "float32", "generations": generations}
        kept, said = kept_by(table_space(teacher={"train": train}), tmp_path)
        born.append(load_file(kept)["network.1.weight"])
        assert sum(line.startswith("generation") for line in said) == generations
    seeded = {"train": {"epochs": 2, "precision": "float32", "seed": 1}}
    born.append(load_file(kept_by(table_space(teacher=seeded), tmp_path)[0])["network.1.weight"])
    assert not any(torch.equal(one, other) for one, other in combinations(born, 2))


@pytest.mark.parametrize(
    ("epoch_s", "told"),
    [
        (100.0, {1: "; about 18 min more", 2: "; about 17 min more", 10: "; about 3 min more", 11: None, 12: ""}),
        (2.0, {1: None, 2: "", 10: "", 11: None, 12: ""}),
    ],
)
def test_a_training_that_takes_long_says_after_an_epoch_how_long_it_goes_on(
    table_space: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch_s: float, told: dict[int, str | None]
) -> None:
    clock = count(0.0, epoch_s)
    monkeypatch.setattr(teacher_training, "monotonic", lambda: next(clock))
    _, said = kept_by(table_space(teacher={"train": {"epochs": 12}}), tmp_path)
    for number, ending in told.items():
        lines = [line for line in said if line.startswith(f"teacher epoch {number} of 12: val/accuracy 0.")]
        assert len(lines) == (ending is not None)
        assert all(line.partition("accuracy 0.")[2][4:] == ending for line in lines)


def test_a_diverged_teacher_is_refused_with_the_way_out(table_space: Make, tmp_path: Path) -> None:
    hot = {"train": {"epochs": 1, "optimizer": "sgd", "learning_rate": 1e12}}
    with pytest.raises(TeacherError, match=r"^teacher\.train: .* diverged\. Lower teacher\.train\.learning_rate\.$"):
        prepare(table_space(teacher=hot), tmp_path, lambda line: None)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_family_for_images_is_refused_on_a_table_by_its_own_key(table_space: Make, tmp_path: Path) -> None:
    with pytest.raises(TeacherError, match=r"^teacher\.family: convnet needs images "):
        prepare(table_space(teacher={"family": "convnet", **FAST}), tmp_path, lambda line: None)


def quiet(line: str) -> None:
    pass


def test_of_two_programs_that_need_a_teacher_one_trains_it_and_the_other_waits(
    table_space: Make, tmp_path: Path
) -> None:
    config = table_space(teacher=FAST).config
    dataset, source = prepare_data(config.data, tmp_path / "data"), config.teacher.chosen("source")
    has_begun, is_waited_for, heard, trained_by = threading.Event(), threading.Event(), list[str](), list[str]()

    def context(name: str) -> TeacherContext:
        def fit(recipe: dict[str, Any]) -> Trained:
            trained_by.append(name)
            has_begun.set()
            assert is_waited_for.wait(60)
            return train_teacher(recipe, config, dataset, quiet)

        def hear(line: str) -> None:
            heard.append(f"{name}: {line}")
            is_waited_for.set()

        return TeacherContext(tmp_path / "teacher", fit, hear)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(source.load, config.teacher, data_spec_of(dataset), context("first"))
        assert has_begun.wait(60)
        second = pool.submit(source.load, config.teacher, data_spec_of(dataset), context("second"))
    assert trained_by == ["first"]
    assert heard == ["second: another program is training this teacher; waiting for it"]
    assert is_equal(first.result(), second.result())


def test_of_two_programs_that_train_a_teacher_at_a_time_the_first_to_end_is_both_ones(
    table_space: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on folders that cannot be locked.

    The first may have labelled already, with weights that differ if another number of threads was faster.
    """
    without_locks = Mock(side_effect=OSError(errno.ENOLCK, "No locks available"))
    monkeypatch.setattr(fcntl, "flock", without_locks)
    config = table_space(teacher=FAST).config
    dataset, source = prepare_data(config.data, tmp_path), config.teacher.chosen("source")
    first: list[LoadedTeacher] = []

    def fit(recipe: dict[str, Any], seed: int) -> Trained:
        return train_teacher({**recipe, "search": {**recipe["search"], "seed": seed}}, config, dataset, quiet)

    def overtaken(recipe: dict[str, Any]) -> Trained:
        other = TeacherContext(tmp_path, lambda recipe: fit(recipe, 1), quiet)
        first.append(source.load(config.teacher, data_spec_of(dataset), other))
        return fit(recipe, 2)

    second = source.load(config.teacher, data_spec_of(dataset), TeacherContext(tmp_path, overtaken, quiet))
    assert without_locks.called
    assert is_equal(first[0], second)


def is_equal(one: LoadedTeacher, other: LoadedTeacher) -> bool:
    pairs = zip(one.module.parameters(), other.module.parameters(), strict=True)
    return all(torch.equal(ours, theirs) for ours, theirs in pairs)


def test_no_generation_holds_what_the_trainings_before_it_held(table_space: Make, tmp_path: Path) -> None:
    config = table_space(teacher={"train": {"epochs": 1, "generations": 2}}).config
    alive: list[int] = []

    def count(line: str) -> None:
        if line.startswith("generation"):
            gc.collect()
            alive.append(sum(type(each) in (Run, Materials) for each in gc.get_objects()))

    prepare(table_space(teacher={"train": {"epochs": 1, "generations": 2}}), tmp_path, count)
    assert config.teacher.chosen("source").generations == len(alive) == 2
    assert alive[0] == alive[1] == 0
