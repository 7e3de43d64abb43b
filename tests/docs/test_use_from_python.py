"""The code in docs/results.md that uses a student runs as written, on a table and on images."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import tomli_w
from pages import PROJECT, code_block
from PIL import Image
from runs import IMAGES

from distill_tune import load_student, predict, train
from distill_tune.errors import DataError
from distill_tune.evaluation.predicting import predict_logits
from distill_tune.export.student_folder import open_student_folder


def table(folder: Path) -> dict[str, Any]:
    """A run on a table with a gap, a category and semicolons; its rows are the new ones too."""
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=["height", "width"])
    rows = rows.assign(zone=["a", "b"] * 30, kind=np.arange(60) % 3)
    rows.loc[::7, "width"] = None
    rows.to_csv(folder / "data.csv", index=False, sep=";")
    rows.to_csv(folder / "new_rows.csv", index=False, sep=";")
    data = {"source": "csv", "path": str(folder / "data.csv"), "csv": {"separator": ";"}}
    teacher = {"family": "mlp", "mlp": {"widths": [8]}, "train": {"epochs": 1}}
    return {"data": data, "teacher": teacher, "student": {"family": "mlp"}, "search": {"max_epochs": 1}}


def images(folder: Path) -> dict[str, Any]:
    """A run on scikit-learn's digits; the new rows are noise in their units."""
    pixels = np.random.default_rng(0).integers(0, 17, (30, 64))
    pd.DataFrame(pixels).to_csv(folder / "new_rows.csv", index=False)
    return {**IMAGES, "search": {"max_epochs": 1}, "export": {}}


@pytest.fixture(scope="module", params=[table, images])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `results/NAME/best/` and `new_rows.csv`."""
    made: Path = tmp_path_factory.mktemp("user")
    run: Callable[[Path], dict[str, Any]] = request.param
    (made / "run.toml").write_text(tomli_w.dumps(run(made)))
    assert train.main([str(made / "run.toml"), "--storage", str(made / "results"), "--name", "NAME"]) == 0
    (made / "results" / "NAME" / "seed-0").rename(made / "results" / "NAME" / "best")
    return made


def done(folder: Path, name: str, then: str = "") -> str:
    """The output of a block of the page, saved and run as a user would."""
    (folder / name).write_text(code_block("docs/results.md", name) + then)
    command = [sys.executable, str(folder / name)]
    named = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    ran = subprocess.run(command, cwd=folder, env=named, capture_output=True, text=True, check=False, timeout=200)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_student_says_from_python_what_predict_says(folder: Path) -> None:
    said = done(folder, "use_student.py", "print(*classes)\n").split()
    assert predict.main([str(folder / "results/NAME/best"), str(folder / "new_rows.csv"), "-o", str(folder / "p")]) == 0
    predicted = pd.read_csv(folder / "p", dtype={"class": "str"})
    assert said == predicted["class"].tolist()
    probabilities = predicted.drop(columns="class")
    assert list(probabilities) == list(open_student_folder(folder / "results/NAME/best").classes)
    assert np.allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert (probabilities.idxmax(axis=1) == predicted["class"]).all()


def test_a_table_or_an_array_at_hand_is_classified_like_the_same_rows_in_a_file(folder: Path) -> None:
    student = load_student(str(folder / "results/NAME/best"))
    frame = pd.read_csv(folder / "new_rows.csv", sep=student.separator or ",")
    expected = student.probabilities(str(folder / "new_rows.csv"))
    np.testing.assert_array_equal(student.probabilities(frame), expected)
    if student.encoder is not None:
        frame = frame[student.encoder["columns"]]
    assert student.predict(frame.to_numpy()) == [student.classes[best] for best in expected.argmax(1)]


def test_pictures_are_warned_of_where_the_training_images_did_not_go_as_far(folder: Path, tmp_path: Path) -> None:
    student = load_student(folder / "results/NAME/best")
    if student.encoder is not None:
        assert student.brightest is None
        return
    Image.new("L", (8, 8), 255).save(tmp_path / "white.png")
    with pytest.warns(UserWarning, match=r"from 0 to 255, but this student has learned from images that end at 16"):
        student.predict(tmp_path / "white.png")
    assert student.predict(student.inputs(folder / "new_rows.csv")[:1]), "arrays in the same units are not warned of"


def test_arrays_and_tables_of_images_in_other_units_are_warned_of(folder: Path, tmp_path: Path) -> None:
    student = load_student(folder / "results/NAME/best")
    if student.encoder is not None:
        with pytest.warns(UserWarning, match="2 rows have a 'zone' that training had not") as seen:
            assert student.predict(1000 * np.ones((2, 3)))
        assert {each.filename for each in seen} == {__file__}
        return
    pixels, told = np.full((2, 1, 8, 8), 33, dtype=np.uint8), list[str]()
    pd.DataFrame(pixels.reshape(2, -1)).to_csv(tmp_path / "rows.csv", index=False)
    for rows in (pixels, tmp_path / "rows.csv"):
        student.predict(rows, told.append)
    said = "a pixel of the rows is 33, but this student has learned from images that end at 16; give them in the same "
    assert told == [f"{said}units"] * 2
    assert student.predict(np.full((2, 1, 8, 8), 32, dtype=np.uint8)), "which may be of one brighter image"


def test_rows_of_another_layout_are_refused_in_one_line(folder: Path) -> None:
    student = load_student(folder / "results/NAME/best")
    with pytest.raises(DataError, match=r"^the rows: .*\.$"):
        student.predict(np.zeros((3, 1)))


def test_the_network_as_onnx_gives_the_same_logits_for_any_number_of_rows(folder: Path) -> None:
    done(folder, "export_student.py")
    student = load_student(folder / "results/NAME/best")
    rows = student.inputs(folder / "new_rows.csv")
    session = onnxruntime.InferenceSession(folder / "student.onnx", providers=["CPUExecutionProvider"])
    for some in (rows, rows[:1]):
        (logits,) = session.run(None, {"inputs": some})
        np.testing.assert_allclose(logits, predict_logits(student.network, some), atol=1e-4)


def test_the_programs_in_the_folder_are_used_as_the_page_says(folder: Path) -> None:
    student = load_student(folder / "results/NAME/best")
    rows = student.inputs(folder / "new_rows.csv")
    np.save(folder / "images.npy", rows)
    printed = done(folder, "run_programs.py", "print(*logits.argmax(1).tolist(), *same.argmax(1).tolist())\n").split()
    assert printed == 2 * [str(best) for best in predict_logits(student.network, rows).argmax(1)]
