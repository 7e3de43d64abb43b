"""A Keras teacher that cannot be read or does not fit the data is refused in one line."""

import sys
from pathlib import Path

import pytest
import tomli_w
import torch
from keras_models import KERAS_OWN_WARNINGS, dense, functional, keras, load, made, refused, sequential
from loaded_teachers import ROWS
from runs import run_space

from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError, TeacherError
from distill_tune.train import main

pytestmark = KERAS_OWN_WARNINGS


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_lambda_layer_is_refused_without_trust(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m{suffix}"
    functional((7,), [keras.layers.Lambda(lambda x: x * 3), keras.layers.Dense(3)]).save(path)
    refused(path, r"cannot be read by Keras .*; teacher\.trust = true lets the file's own code run\.$")
    assert load(path, ROWS, trust=True).module(torch.randn(2, 7)).shape == (2, 3)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("content", ["truncated", "text"])
def test_a_damaged_file_is_refused(tmp_path: Path, suffix: str, content: str) -> None:
    path = tmp_path / f"m{suffix}"
    made(sequential, dense, (7,), "none", path)
    whole = path.read_bytes()
    path.write_bytes({"truncated": whole[: len(whole) // 2], "text": b"weights: none\n"}[content])
    refused(
        path, rf"^teacher\.path: 'm{suffix}' cannot be read by Keras .*; save the model again with model\.save\(\)\.$"
    )


def test_a_model_that_does_not_fit_the_data_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    made(sequential, dense, (8,), "none", path)
    refused(path, r"reads samples of shape \(8,\), but the data have \(7,\)\.$")
    functional((7,), [keras.layers.Dense(4)]).save(path)
    refused(path, r"^teacher\.keras: the network must return logits \[batch, 3\] .* but returned \[2, 4\]")
    inputs = keras.Input((7,))
    keras.Model([inputs, keras.Input((2,))], [keras.layers.Dense(3)(inputs), keras.layers.Dense(2)(inputs)]).save(path)
    refused(path, r"must have one input and one output, but has 2 and 2\.$")


def test_a_missing_file_and_another_kind_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.keras", r"^teacher\.path: .*none\.keras: no such file; ")
    (tmp_path / "m.pb").write_bytes(b"saved model")
    refused(tmp_path / "m.pb", r"^teacher\.path: Keras models are read from \.h5 and \.keras files, but got 'm\.pb'")


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a user without Keras meets it: exit status 2, one line."""
    (tmp_path / "m.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "keras", None)
    told = {"source": "digits"}, {"source": "keras", "path": str(tmp_path / "m.h5")}, {"family": "mlp"}
    run = tmp_path / "run.toml"
    run.write_text(tomli_w.dumps(dict(zip(("data", "teacher", "student"), told, strict=True))))
    assert main([str(run), "--storage", str(tmp_path / "results")]) == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "teacher.source" in each]
    assert "'keras' needs keras" in line
    assert "`pip install keras`" in line


def test_its_layers_are_compared_only_where_its_family_is_told(tmp_path: Path) -> None:
    """Refused before the file is looked for; with a family, the error is the missing file."""
    teacher = {"source": "keras", "path": str(tmp_path / "none.keras")}
    loss = {"kind": "hint"}
    with pytest.raises(ConfigError, match=r"^loss: 'hint' compares features, but source = 'keras' shows its layers on"):
        prepare(run_space(teacher=teacher | {"family": None}, loss=loss), tmp_path, lambda line: None)
    with pytest.raises(TeacherError, match=r"none\.keras: no such file"):
        prepare(run_space(teacher=teacher | {"family": "mlp"}, loss=loss), tmp_path, lambda line: None)
