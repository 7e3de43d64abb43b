"""`python -m distill_tune.predict` on unusable input: exit status 2, one line on stderr, nothing written."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from disks import files_of_at_most
from PIL import Image
from runs import FILES

from distill_tune import load_student, predict, train
from distill_tune import student as student_module
from distill_tune.data import inputs
from distill_tune.errors import InputError


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a student that was trained on a small table."""
    folder: Path = tmp_path_factory.mktemp("trained")
    inputs = np.random.default_rng(0).normal(size=(60, 2))
    pd.DataFrame(inputs, columns=["height", "width"]).assign(kind=np.arange(60) % 3).to_csv(folder / "data.csv")
    np.save(folder / "teacher.npy", np.random.default_rng(1).normal(size=(60, 3)))
    (folder / "run.toml").write_text(f"{FILES}\n[search]\nmax_epochs = 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert train.main(["run.toml", "--name", "a"]) == 0
    return folder / "results" / "a" / "seed-0"


@pytest.fixture
def folder(student: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the student in `student` and rows to predict in `new.csv`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(student, "student")
    shutil.copy(student.parents[2] / "data.csv", "new.csv")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    before = sorted(Path().rglob("*"))
    status = predict.main(list(arguments))
    said = capsys.readouterr()
    assert status == 2, said.err
    assert re.fullmatch(r"error: .+[.?]\n", said.err), said.err
    assert not said.out
    assert sorted(Path().rglob("*")) == before
    return said.err


def test_rows_are_predicted(folder: Path) -> None:
    assert predict.main(["student", "new.csv", "-o", "out.csv"]) == 0
    assert len((folder / "out.csv").read_text().splitlines()) == 61


def test_everything_may_stand_below_the_home_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.chdir("/")
    assert predict.main(["~/student", "~/new.csv", "-o", "~/out.csv"]) == 0
    assert len((folder / "out.csv").read_text().splitlines()) == 61
    assert train.main(["~/gone.toml", "--storage", str(folder)]) == 2


def rewrite_run(**sections: dict[str, Any]) -> None:
    run = Path("student/run.toml")
    run.write_text(tomli_w.dumps({**tomllib.loads(run.read_text()), **sections}))


def test_the_separator_is_that_of_the_training_data_not_the_most_frequent(folder: Path) -> None:
    assert predict.main(["student", "new.csv", "-o", "expected.csv"]) == 0
    with_noise = pd.read_csv("new.csv").assign(**{"a, b, c, d, e, f": 1})
    with_noise.to_csv("new.csv", index=False, sep=";")
    rewrite_run(data={"source": "csv", "path": "data.csv", "csv": {"separator": ";"}})
    assert predict.main(["student", "new.csv", "-o", "out.csv"]) == 0
    assert Path("out.csv").read_bytes() == Path("expected.csv").read_bytes()


def test_modules_that_have_nothing_to_do_with_the_student_need_not_be_there(folder: Path) -> None:
    assert predict.main(["student", "new.csv", "-o", "expected.csv"]) == 0
    rewrite_run(
        data={"source": "my_data:Mine"},
        loss={"kind": "my_parts:Loss"},
        optim={"kind": "my_parts:Optimizer"},
        augmentation={"my_parts:Turn": 1.0},
        student={**tomllib.loads(Path("student/run.toml").read_text())["student"], "init": "my_parts:Init"},
    )
    assert predict.main(["student", "new.csv", "-o", "out.csv"]) == 0
    assert Path("out.csv").read_bytes() == Path("expected.csv").read_bytes()


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"student": {"init": "default"}}, "student.family: this key is required, as text; copy the folder again."),
        ({"student": {"family": "mpl"}}, "student.family: no student family is named 'mpl'. Did you mean 'mlp'?"),
        ({"student": {"family": "absent:net"}}, "student.family: 'absent:net': there is no module 'absent' in "),
        ({"student": {"family": "mlp", "mlp": {"width": "a"}}}, "student.mlp.width: must be an integer, but got 'a'."),
        ({"data": {}}, "data.source: this key is required, as text; copy the folder again."),
        ({"data": {"source": "csv", "csv": {"separator": "--"}}}, "data.csv.separator: "),
    ],
)
def test_a_run_that_is_damaged(
    folder: Path, capsys: pytest.CaptureFixture[str], sections: dict[str, Any], said: str
) -> None:
    rewrite_run(**sections)
    assert refused(capsys, "student", "new.csv").startswith(f"error: student/run.toml: {said}")


def test_a_reader_who_has_seen_enough_is_no_error(folder: Path) -> None:
    command = [sys.executable, "-m", "distill_tune.predict", "student", "new.csv"]
    named = os.environ | {"PYTHONPATH": str(Path(predict.__file__).parents[1])}
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=named) as left:
        assert left.stdout is not None
        left.stdout.close()
        _, errors = left.communicate(timeout=60)
    assert (left.returncode, errors) == (0, b"")


def test_standard_output_without_room_is_named(folder: Path) -> None:
    command = [sys.executable, "-m", "distill_tune.predict", "student", "new.csv"]
    named = os.environ | {"PYTHONPATH": str(Path(predict.__file__).parents[1])}
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            command, cwd=folder, stdout=full, stderr=subprocess.PIPE, env=named, text=True, check=False
        )
    said = "error: standard output: cannot be written (No space left on device); make room, or write to -o FILE.\n"
    assert (ran.returncode, ran.stderr) == (2, said)


def test_an_output_that_cannot_be_written_to_its_end_stays_as_it_was(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "out.csv").write_text("precious")
    with files_of_at_most(100):
        assert "-o out.csv: cannot be written (File too large)" in refused(
            capsys, "student", "new.csv", "-o", "out.csv"
        )
    assert (folder / "out.csv").read_text() == "precious"


def test_a_link_or_a_pipe_as_the_output_stays_one(folder: Path) -> None:
    (folder / "link").symlink_to("far.csv")
    assert predict.main(["student", "new.csv", "-o", "link"]) == 0
    assert (folder / "link").is_symlink()
    os.mkfifo("pipe")
    with subprocess.Popen(["cat", "pipe"], stdout=subprocess.PIPE) as reader:
        assert predict.main(["student", "new.csv", "-o", "pipe"]) == 0
        piped, _ = reader.communicate(timeout=60)
    assert (folder / "pipe").is_fifo()
    assert piped == (folder / "far.csv").read_bytes()


@pytest.mark.parametrize("name", ["gone", "new.csv", "long" * 90, "."])
def test_a_folder_that_holds_no_student(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert ": is no student's folder, run.toml is missing; give the folder best/" in refused(capsys, name, "new.csv")


@pytest.mark.parametrize("name", ["results/one", "results/one/best"])
def test_the_student_of_a_search_that_is_unfinished_is_not_there_yet(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (folder / "results/one").mkdir(parents=True)
    (folder / "results/one/search.toml").touch()
    assert refused(capsys, name, "new.csv") == (
        "error: results/one/best: does not exist yet, because the search is unfinished; wait for it, or continue it "
        "with `python -m distill_tune.search --resume --name one --storage results`.\n"
    )


@pytest.mark.parametrize("file", ["student.json", "student.safetensors"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"3", b"\xff\xfe", b'{"input_shape": 3, "classes": null}'])
def test_a_student_that_is_damaged(folder: Path, capsys: pytest.CaptureFixture[str], file: str, content: bytes) -> None:
    (folder / "student" / file).write_bytes(content)
    said = refused(capsys, "student", "new.csv")
    assert said.startswith("error: student: the student cannot be read (")
    assert said.endswith("); copy the folder again.\n")


@pytest.mark.parametrize(
    "edit",
    [
        {"encoder": None},
        {"encoder": 3},
        {"encoder": []},
        {"encoder": {"columns": ["a"], "numbers": [1], "categories": {}}},
        {"encoder": {"columns": ["a"], "numbers": [], "categories": {"a": ["b"]}}},
    ],
)
def test_a_student_whose_description_somebody_has_edited(
    folder: Path, capsys: pytest.CaptureFixture[str], edit: dict[str, Any]
) -> None:
    path = folder / "student/student.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    said = refused(capsys, "student", "new.csv")
    assert said.startswith("error: student: the student cannot be read (")
    assert said.endswith("); copy the folder again.\n")


@pytest.mark.parametrize(
    ("place", "why"), [(".", "Is a directory"), ("no/o.csv", "No such file"), ("x" * 300, "too long")]
)
def test_a_place_that_cannot_be_written_to(
    folder: Path, capsys: pytest.CaptureFixture[str], place: str, why: str
) -> None:
    said = refused(capsys, "student", "new.csv", "-o", place)
    assert "cannot be written (" in said
    assert why in said


def test_rows_whose_name_no_file_can_have(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for suffix in (".csv", ".npy", ".parquet"):
        assert "cannot be read (File name too long)" in refused(capsys, "student", "long" * 90 + suffix)


def test_the_rows_themselves_are_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "link.csv").symlink_to("new.csv")
    before = (folder / "new.csv").read_bytes()
    assert "-o link.csv: is INPUT itself, which must not be lost" in refused(
        capsys, "student", "new.csv", "-o", "link.csv"
    )
    assert (folder / "new.csv").read_bytes() == before


def test_the_student_s_own_files_are_not_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "student/student.safetensors").read_bytes()
    said = refused(capsys, "student", "new.csv", "-o", "student/student.safetensors")
    assert "-o student/student.safetensors: is a file of student, which must not be lost" in said
    assert (folder / "student/student.safetensors").read_bytes() == before
    for _ in range(2):
        assert predict.main(["student", "new.csv", "-o", "student/out.csv"]) == 0


def test_classes_that_standard_output_has_no_letters_for_are_not_given_other_names(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "student/student.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": ["große", "kleine", "andere"]}))
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", errors="backslashreplace"))
    assert predict.main(["student", "new.csv"]) == 2
    assert "its encoding, ascii, lacks letters of classes or files; write to -o FILE." in capsys.readouterr().err
    assert written.getvalue() == b""
    assert predict.main(["student", "new.csv", "-o", "out.csv"]) == 0
    assert "große" in (folder / "out.csv").read_text(encoding="utf-8")


def test_a_path_that_is_no_utf_8_is_said_to_be_none(folder: Path) -> None:
    latin = os.fsdecode(b"b\xf6se")
    Path("student").rename(latin)
    with pytest.raises(InputError, match="is not valid UTF-8"):
        load_student(latin)


def test_an_array_keeps_the_name_that_the_training_data_gave_it(folder: Path) -> None:
    draw = np.random.default_rng(0)
    np.savez("rows.npz", heights=draw.normal(size=(60, 2)), kinds=np.arange(60) % 3)
    run = {
        "data": {"source": "npz", "path": "rows.npz", "npz": {"inputs": "heights", "labels": "kinds"}},
        "teacher": {"source": "logits", "path": "teacher.npy"},
        "student": {"family": "mlp"},
        "search": {"max_epochs": 1},
    }
    np.save("teacher.npy", draw.normal(size=(60, 3)))
    Path("named.toml").write_text(tomli_w.dumps(run))
    assert train.main(["named.toml", "--name", "named"]) == 0
    assert predict.main(["results/named/seed-0", "rows.npz", "-o", "out.csv"]) == 0
    assert len((folder / "out.csv").read_text().splitlines()) == 61


@pytest.fixture
def of_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The folder of a student that was trained on grey images of 4 x 4."""
    draw = np.random.default_rng(0)
    np.savez("images.npz", inputs=draw.integers(0, 256, (60, 4, 4), dtype=np.uint8), labels=np.arange(60) % 3)
    np.save("teacher.npy", draw.normal(size=(60, 3)))
    run = {
        "data": {"source": "npz", "path": "images.npz"},
        "teacher": {"source": "logits", "path": "teacher.npy"},
        "student": {"family": "mlp"},
        "search": {"max_epochs": 1},
        "export": {"formats": []},
    }
    Path("images.toml").write_text(tomli_w.dumps(run))
    assert train.main(["images.toml", "--name", "images"]) == 0
    capsys.readouterr()
    return "results/images/seed-0"


def test_a_picture_is_written_under_its_own_name_even_if_that_is_no_utf_8_and_is_not_written_over(
    of_images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"b\xf6se.png")
    Image.new("L", (4, 4)).save(name)
    assert predict.main([of_images, name]) == 2
    assert "lacks letters of classes or files; write to -o FILE." in capsys.readouterr().err
    assert predict.main([of_images, name, "-o", "out.csv"]) == 0
    assert Path("out.csv").read_bytes().splitlines()[1].startswith(b"b\xf6se.png,")
    Path("photos").mkdir()
    Image.new("L", (4, 4)).save("photos/1.png")
    said = refused(capsys, of_images, "photos", "-o", "photos/1.png")
    assert "-o photos/1.png: is a picture of INPUT, which must not be lost" in said
    assert Path("photos/1.png").read_bytes().startswith(b"\x89PNG")


def test_files_of_a_folder_that_are_no_pictures_are_said_once(
    of_images: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("photos").mkdir()
    Image.new("L", (4, 4)).save("photos/1.png")
    Path("photos/2.heic").write_bytes(b"of a telephone")
    assert predict.main([of_images, "photos", "-o", "out.csv"]) == 0
    assert len(Path("out.csv").read_text().splitlines()) == 2
    said = "warning: photos/2.heic does not have an image file name and is skipped, 1 in all"
    assert capsys.readouterr().err.splitlines() == [said]


def test_pictures_are_decoded_a_part_at_a_time_and_told_of_as_if_at_once(
    of_images: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("photos").mkdir()
    for number in range(5):
        Image.new("L", (4, 4), 50 * number).save(f"photos/{number}.png")
    Path("photos/5.heic").write_bytes(b"of a telephone")
    path = Path(of_images, "student.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"brightest": 16}))
    assert predict.main([of_images, "photos", "-o", "whole.csv"]) == 0
    expected, decoded, sizes = capsys.readouterr().err, inputs.decoded, list[int]()
    monkeypatch.setattr(inputs, "decoded", lambda paths, shape: sizes.append(len(paths)) or decoded(paths, shape))
    monkeypatch.setattr(student_module, "_pictures_at_a_time", lambda shape: 2)
    assert predict.main([of_images, "photos", "-o", "parts.csv"]) == 0
    assert sizes == [2, 2, 1]
    assert Path("parts.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert capsys.readouterr().err == expected
    assert len(expected.splitlines()) == 2
    told = list[str]()
    assert len(load_student(of_images).predict("photos", told.append)) == 5
    assert [f"warning: {line}" for line in sorted(told)] == sorted(expected.splitlines())


def test_rows_of_an_array_are_in_the_order_of_the_columns_that_the_configuration_names(folder: Path) -> None:
    run = tomllib.loads(FILES) | {"search": {"max_epochs": 1}, "export": {"formats": []}}
    shutil.copy("new.csv", "data.csv")
    np.save("teacher.npy", np.random.default_rng(1).normal(size=(60, 3)))
    run["data"]["csv"] = {"columns": ["width", "height"], "label": "kind"}
    Path("turned.toml").write_text(tomli_w.dumps(run))
    assert train.main(["turned.toml", "--name", "turned"]) == 0
    student = load_student("results/turned/seed-0")
    told = json.loads(Path("results/turned/seed-0/student.json").read_text())["encoder"]["columns"]
    assert told == ["width", "height"]
    frame = pd.read_csv("new.csv")
    np.testing.assert_array_equal(student.probabilities(frame[told].to_numpy()), student.probabilities("new.csv"))
