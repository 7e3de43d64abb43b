"""A student's program answers as the student does, in every format; what cannot be written is named."""

import gc
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import tomli_w
import torch
from disks import files_of_at_most
from runs import TABLE, run_space
from torch import Tensor, nn

from distill_tune.config import read_toml
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.export import programs, student_folder
from distill_tune.export.formats import Format
from distill_tune.export.programs import write_programs
from distill_tune.registry import FORMATS, STUDENTS
from distill_tune.students import Student, build_student
from distill_tune.train import main as train

SHAPES = [(1, 8, 8), (3, 20, 33), (16,)]
CASES = [(name, shape) for name in STUDENTS.names for shape in SHAPES if shape[1:] or STUDENTS.get(name).for_tables]
FILES = [FORMATS.get(name).file for name in FORMATS.names]


def some(shape: tuple[int, ...], count: int) -> Any:
    """Inputs as a network takes them."""
    draw = np.random.default_rng(count)
    size = (count, *shape)
    return draw.integers(0, 256, size, dtype=np.uint8) if shape[1:] else draw.normal(size=size).astype(np.float32)


@pytest.fixture(scope="module", params=CASES, ids=str)
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, nn.Module, Any]:
    """A folder with a student's programs, the student, and the shape of its inputs."""
    name, shape = request.param
    folder: Path = tmp_path_factory.mktemp("student")
    torch.manual_seed(0)
    family: Student = STUDENTS.get(name)()
    numbers = [0.5] * shape[0], [2.0] * shape[0]
    network = build_student(family, shape, 5, *numbers).eval()
    assert write_programs(folder, network, some(shape, 8), FORMATS.names) == {}
    return folder, network, shape


@pytest.mark.parametrize("name", FORMATS.names)
@pytest.mark.parametrize("count", [1, 2, 33])
def test_a_program_says_what_the_student_says(written: tuple[Path, nn.Module, Any], name: str, count: int) -> None:
    folder, network, shape = written
    kind: Format = FORMATS.get(name)()
    (found,) = kind.answers(folder / kind.file, some(shape, count))
    assert found.shape == (count, 5)
    np.testing.assert_allclose(found, predict_logits(network, some(shape, count)), rtol=1e-3, atol=1e-4)


def test_a_folder_has_one_file_of_each_format(written: tuple[Path, nn.Module, Any]) -> None:
    assert sorted(path.name for path in written[0].iterdir()) == sorted(FILES) == ["student.onnx", "student.pt2"]


class Undecided(nn.Module):
    """Decides what to do by its inputs, which no graph can."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.layer(inputs)
        return -logits if inputs.sum() > 0 else logits


class Forgetful(nn.Module):
    """Answers differently each time, by a count that a graph freezes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.calls = nn.Linear(3, 2), 0

    def forward(self, inputs: Tensor) -> Tensor:
        self.calls += 1
        logits: Tensor = self.layer(inputs)
        return logits + self.calls


@pytest.mark.parametrize("names", [[], ["onnx"], ["pt2"]], ids=str)
def test_only_the_formats_that_are_asked_for_are_written_and_no_other_is_missed(
    tmp_path: Path, names: list[str]
) -> None:
    assert write_programs(tmp_path, nn.Linear(3, 2).eval(), some((3,), 4), names) == {}
    assert [path.name for path in tmp_path.iterdir()] == [FORMATS.get(name).file for name in names]


class Halved(nn.Linear):
    """Returns logits in half precision."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).bfloat16()


def test_a_student_of_logits_in_half_precision_is_there_as_a_program_for_pytorch(tmp_path: Path) -> None:
    assert write_programs(tmp_path, Halved(3, 2).eval(), some((3,), 4), ["pt2"]) == {}
    assert (tmp_path / "student.pt2").exists()


def test_a_network_that_no_graph_can_hold_has_no_programs_and_it_is_said_why(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    left_out = write_programs(tmp_path, Undecided().eval(), some((3,), 4), FORMATS.names)
    assert capfd.readouterr() == ("", "")
    assert sorted(left_out) == FILES
    for why in left_out.values():
        assert why.startswith("PyTorch cannot export the network (")
        assert "\n" not in why
    assert not any(tmp_path.iterdir())


class Unwilling(nn.Module):
    """Refuses to be exported, by raising what it is given."""

    def __init__(self, refusal: BaseException) -> None:
        super().__init__()
        self.layer, self.refusal = nn.Linear(3, 2), refusal

    def forward(self, inputs: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            raise self.refusal
        logits: Tensor = self.layer(inputs)
        return logits


@pytest.mark.parametrize("refusal", [SystemExit("not me"), OSError("could not get source code")], ids=str)
def test_however_a_network_refuses_to_be_exported_it_costs_its_programs_alone(
    tmp_path: Path, refusal: BaseException
) -> None:
    left_out = write_programs(tmp_path, Unwilling(refusal).eval(), some((3,), 4), FORMATS.names)
    assert sorted(left_out) == FILES
    assert all(str(refusal) in why for why in left_out.values())


def test_a_program_for_which_there_is_no_room_is_left_out_and_the_smaller_one_is_there(tmp_path: Path) -> None:
    with files_of_at_most(4096):
        left_out = write_programs(tmp_path, nn.Linear(3, 2).eval(), some((3,), 4), FORMATS.names)
    assert list(left_out) == ["student.pt2"]
    assert left_out["student.pt2"].startswith("it cannot be written (")
    assert [path.name for path in tmp_path.iterdir()] == ["student.onnx"]


def test_a_program_that_says_something_else_is_left_out(tmp_path: Path) -> None:
    left_out = write_programs(tmp_path, Forgetful().eval(), some((3,), 4), FORMATS.names)
    assert sorted(left_out) == FILES
    assert all(why.startswith("its logits differ from the student's by up to ") for why in left_out.values())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("package", "left_out"),
    [
        ("onnxscript", {"student.onnx": "it needs onnxscript, which `pip install onnxscript` installs"}),
        ("onnxruntime", {}),
    ],
)
def test_without_the_package_that_writes_it_a_program_is_left_out_and_without_the_one_that_runs_it_it_is_not_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, left_out: dict[str, str]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # as if not installed
    assert write_programs(tmp_path, nn.Linear(3, 2).eval(), some((3,), 4), FORMATS.names) == left_out
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({*FILES} - {*left_out})


def test_the_exporter_is_not_loaded_for_formats_that_are_not_asked_for_or_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setattr(programs, "program_of", exported := Mock())
    for names in ([], ["onnx"]):
        write_programs(tmp_path, nn.Linear(3, 2).eval(), some((3,), 4), names)
    exported.assert_not_called()


class Looking(nn.Module):
    """Records whether garbage collection was enabled while it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.seen = nn.Linear(3, 2), set[bool]()

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen.add(gc.isenabled())
        logits: Tensor = self.layer(inputs)
        return logits


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("names", [["pt2"], []], ids=str)
def test_no_garbage_is_collected_while_programs_are_written_and_then_as_before(
    tmp_path: Path, before: bool, names: list[str]
) -> None:
    network, was = Looking().eval(), gc.isenabled()
    (gc.enable if before else gc.disable)()
    try:
        assert write_programs(tmp_path, network, some((3,), 4), names) == {}
        assert gc.isenabled() == before
    finally:
        (gc.enable if was else gc.disable)()
    assert network.seen == ({False} if names else set())


@pytest.mark.parametrize(("shape", "count"), [((16,), 64), ((1, 28, 28), 64), ((3, 224, 224), 8)], ids=str)
def test_programs_are_given_no_more_at_once_than_there_is_memory_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], count: int
) -> None:
    split = SimpleNamespace(inputs=some(shape, 70))
    known = {"input_shape": shape, "classes": ("a", "b"), "encoder": None, "split_fingerprint": "x", "is_image": False}
    monkeypatch.setattr(student_folder, "open_student_folder", Mock())
    monkeypatch.setattr(student_folder, "write_programs", written := Mock())
    data: Any = SimpleNamespace(**known, split=lambda name: split)
    student_folder.write_student_folder(tmp_path / "best", run_space().config, data, {}, "card")
    assert len(written.call_args.args[2]) == count


def test_a_training_writes_what_its_configuration_asks_for_and_keeps_that_in_the_students_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run.toml"
    run.write_text(tomli_w.dumps(TABLE), encoding="utf-8")
    assert train([str(run), "--storage", str(tmp_path), "--name", "one", "--set", "export.formats=['pt2']"]) == 0
    assert "left out" not in "".join(capsys.readouterr())
    folder = tmp_path / "one" / "seed-0"
    own = {"run.toml", "student.safetensors", "student.json", "README.md"}
    assert {path.name for path in folder.iterdir()} == {*own, "student.pt2"}
    assert read_toml(folder / "run.toml")["export"] == {"formats": ["pt2"]}
