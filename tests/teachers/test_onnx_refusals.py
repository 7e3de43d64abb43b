"""ONNX models that cannot teach these data, and uses that only PyTorch networks allow, are refused in a line."""

from dataclasses import replace
from pathlib import Path

import pytest
from loaded_teachers import IMAGES, ROWS
from onnx_models import Model, onnx, refused
from runs import TABLE, run_space

from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"PK\x03\x04 no model")
    assert refused(tmp_path / "m.onnx", ROWS).startswith("teacher.path: 'm.onnx' is no ONNX model that can be read (")


def test_a_model_that_was_cut_short(tmp_path: Path) -> None:
    path = Model().write(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    assert refused(path, ROWS).startswith("teacher.path: 'm.onnx' ")


@pytest.mark.parametrize(
    ("model", "data_spec", "expected"),
    [
        (Model(sample=(5,)), ROWS, "reads samples of shape (5,), but the data have (7,)"),
        (Model(sample=(3, 6, 5)), IMAGES, "reads samples of shape (3, 6, 5), but the data have (2, 6, 5)"),
        (Model(classes=4), ROWS, "teacher.onnx: the network must return logits [batch, 3] for the 3 classes"),
        (
            Model(dtype="INT64"),
            ROWS,
            "must read one tensor [batch, ...] of float32, float64, float16, uint8, but reads ",
        ),
        (Model(dtype="UINT8"), ROWS, "reads bytes, which are for images as they are stored"),
        (Model(sample=()), ROWS, "must read one tensor [batch, ...] of "),
    ],
)
def test_a_model_that_does_not_fit(tmp_path: Path, model: Model, data_spec: object, expected: str) -> None:
    assert expected in refused(model.write(tmp_path / "m.onnx"), data_spec)  # type: ignore[arg-type]


def test_an_output_that_it_has_not(tmp_path: Path) -> None:
    path = Model(further=[("label", "ArgMax")]).write(tmp_path / "m.onnx")
    for name in ("logits", "label"):
        assert refused(path, ROWS, onnx={"output": name}) == (
            f"teacher.path: the model of 'm.onnx' must have an output {name!r} of floats, but has 'label' (int64 "
            "tensor), 'dense' (float tensor). Name it in teacher.onnx.output."
        )


def test_a_model_of_two_inputs_is_refused(tmp_path: Path) -> None:
    path = Model().write(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, ["rows", 2]))
    onnx.save(model, path)
    assert "must have one input, but has 'given' (float tensor), 'mask' (float tensor)" in refused(path, ROWS)


def test_an_operator_that_nobody_knows(tmp_path: Path) -> None:
    path = Model(ending=("Abs",)).write(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node[-1].op_type = "Frobnicate"
    onnx.save(model, path)
    assert refused(path, ROWS).startswith("teacher.path: 'm.onnx' cannot be run by onnxruntime ")


def test_a_model_that_opens_and_does_not_run_on_such_samples(tmp_path: Path) -> None:
    """It declares images of any size, which its dense layer does not take."""
    path = Model(sample=(2, 6, 5)).write(tmp_path / "m.onnx")
    model = onnx.load(path)
    for dim in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dim.dim_param = "any"
    onnx.save(model, path)
    larger = replace(IMAGES, input_shape=(2, 8, 8))
    assert "'m.onnx' cannot be run on samples of shape (2, 8, 8) (" in refused(path, larger)


def test_a_model_that_gives_one_number_for_all(tmp_path: Path) -> None:
    path = Model(further=[("total", "ReduceSum")]).write(tmp_path / "m.onnx")
    model = onnx.load(path)
    model.graph.node[-1].attribute.append(onnx.helper.make_attribute("keepdims", 0))
    onnx.save(model, path)
    assert "cannot be run on samples of shape (7,) (ValueError: zero-dim" in refused(
        path, ROWS, onnx={"output": "total"}
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"loss": {"kind": "hint"}},
            "loss: 'hint' compares features, but source = 'onnx' gives a network that can only",
        ),
        (
            {"student": {"family": "mlp", "init": "inherit"}},
            "student.init: 'inherit' needs the teacher's weights, but ",
        ),
        ({"regularization": {"norm_ratio": 0.5}}, "regularization.norm_ratio: needs the teacher's weights, but source"),
    ],
)
def test_what_needs_layers_or_weights(tmp_path: Path, change: dict[str, object], expected: str) -> None:
    teacher = {"source": "onnx", "path": str(Model(sample=(8,), classes=4).write(tmp_path / "m.onnx"))}
    space = run_space({**TABLE, **change, "teacher": {}}, teacher=teacher)
    with pytest.raises(ConfigError) as caught:
        prepare(space, tmp_path, lambda line: None)
    assert str(caught.value).startswith(expected)
