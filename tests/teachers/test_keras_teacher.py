"""A Keras teacher: its logits are Keras' own, softmax or not, and what cannot be read is refused in one line."""

import copy
import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from runs import TABLE, run_space

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext
from distill_tune.teachers._keras import two_logits
from distill_tune.train import main

os.environ["KERAS_BACKEND"] = "torch"  # before the first import
keras = pytest.importorskip("keras", reason="pip install keras")

pytestmark = [
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),  # Keras' own
]
IMAGES = DataSpec(("a", "b", "c"), (2, 6, 5), (100.0, 90.0), (50.0, 60.0), "data", 10)
GREY = DataSpec(("a", "b", "c"), (1, 6, 5), (100.0,), (50.0,), "data", 10)
ROWS = DataSpec(("a", "b", "c"), (7,), (), (), "data", 10)
TWO = DataSpec(("no", "yes"), (7,), (), (), "data", 10)
Layers = list[Any]


def unused(*_: Any) -> Any:
    raise AssertionError("this teacher trains nothing")


def load(path: Path, data_spec: DataSpec, said: Callable[[str], None] = print, **table: Any) -> LoadedTeacher:
    """After what `prepare` does."""
    config = TeacherConfig(source="keras", path=str(path), **table)
    source = config.chosen("source")
    assert source.identity(config, data_spec) == source.identity(config, data_spec)
    loaded: LoadedTeacher = source.load(config, data_spec, TeacherContext(path.parent, unused, said))
    return loaded


def dense() -> Layers:
    return [keras.layers.Dense(9, "relu"), keras.layers.Dropout(0.5), keras.layers.BatchNormalization()]


def conv() -> Layers:
    return [
        keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
        keras.layers.BatchNormalization(),
        keras.layers.SeparableConv2D(3, 3),
        keras.layers.DepthwiseConv2D(2),
        keras.layers.Flatten(),
    ]


def sequential(shape: tuple[int, ...], layers: Layers) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def functional(shape: tuple[int, ...], layers: Layers) -> Any:
    inputs = keras.Input(shape)
    outputs = inputs
    for layer in layers:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def nested(shape: tuple[int, ...], layers: Layers) -> Any:
    return functional(shape, [sequential(shape, layers)])


ENDINGS: dict[str, Callable[[], Layers]] = {
    "none": lambda: [keras.layers.Dense(3)],
    "dense": lambda: [keras.layers.Dense(3, activation="softmax")],
    "activation": lambda: [keras.layers.Dense(3), keras.layers.Activation("softmax")],
    "layer": lambda: [keras.layers.Dense(3), keras.layers.Softmax()],
    "log": lambda: [keras.layers.Dense(3, activation="log_softmax")],
    "in the middle": lambda: [keras.layers.Dense(3), keras.layers.Softmax(), keras.layers.Reshape((3,))],
}


def made(make: Any, body: Callable[[], Layers], shape: tuple[int, ...], ending: str, path: Path) -> Any:
    """A saved model with weights and statistics that are no defaults."""
    keras.utils.set_random_seed(3)
    model = make(shape, [*body(), *ENDINGS[ending]()])
    generator = np.random.default_rng(0)
    model.set_weights([np.abs(generator.normal(0.3, 0.3, w.shape)).astype(np.float32) for w in model.get_weights()])
    model.save(path)
    return model


def own_outputs(model: Any, inputs: np.ndarray) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(model(inputs, training=False)), dtype=np.float64)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
@pytest.mark.parametrize("make", [sequential, functional, nested])
@pytest.mark.parametrize(("data_spec", "body"), [(ROWS, dense), (IMAGES, conv)], ids=["rows", "images"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_its_logits_are_keras_own(
    tmp_path: Path, suffix: str, make: Any, data_spec: DataSpec, body: Callable[[], Layers], ending: str
) -> None:
    path = tmp_path / f"model{suffix}"
    shape = data_spec.input_shape if len(data_spec.input_shape) == 1 else (6, 5, 2)
    model = made(make, body, shape, ending, path)
    loaded = load(path, data_spec)
    inputs = torch.randn(12, *data_spec.input_shape) if data_spec is ROWS else torch.randint(256, (12, 2, 6, 5))
    found = loaded.module(inputs).double().numpy()
    theirs = inputs.numpy()
    if data_spec is IMAGES:
        theirs = (theirs.transpose(0, 2, 3, 1) - np.array([100, 90])) / np.array([50, 60])
    outputs = own_outputs(model, theirs.astype(np.float32))
    if ending == "none":
        np.testing.assert_allclose(found, outputs, rtol=1e-5, atol=1e-5)
    else:
        expected = outputs if ending == "log" else np.log(outputs)
        kept = np.isfinite(expected) & (expected > -20)  # below, float32 probabilities have lost their digits
        assert kept.sum() > 12
        np.testing.assert_allclose(log_softmax(found)[kept], expected[kept], rtol=1e-5, atol=1e-5)
    if ending == "in the middle":  # where a sample's logarithms have any mean, which losses on logits would see
        np.testing.assert_allclose(found.mean(1), 0, atol=1e-4)
    assert loaded.parameters == sum(weight.value.numel() for weight in model.trainable_weights)


def test_a_softmax_that_was_taken_off_leaves_logits_where_probabilities_have_run_out_of_digits(tmp_path: Path) -> None:
    model = functional((7,), [keras.layers.Dense(3, activation="softmax")])
    kernel, bias = np.zeros((7, 3), np.float32), np.array([0, 200, -200], np.float32)
    model.set_weights([kernel, bias])
    model.save(tmp_path / "m.keras")
    said: list[str] = []
    loaded = load(tmp_path / "m.keras", ROWS, said.append)
    np.testing.assert_array_equal(loaded.module(torch.zeros(1, 7)).numpy(), [[0, 200, -200]])
    assert said == ["teacher: the last softmax is taken off, so that its outputs are raw logits"]


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (1, 6, 5), (30,), (None, None, 1)])
def test_an_image_is_arranged_as_the_model_reads_it(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    """Each reads the pixels in their order, so that all give the same."""
    seen = keras.layers.GlobalAveragePooling2D() if None in shape else keras.layers.Flatten()
    model = functional(shape, [seen, keras.layers.Dense(3)])  # type: ignore[arg-type]
    model.save(tmp_path / "m.keras")
    pixels = torch.randint(256, (4, 1, 6, 5))
    plain = (pixels.flatten(1).numpy().astype(np.float32) - 100) / 50
    kernel, bias = model.get_weights()
    expected = (plain.mean(1, keepdims=True) if None in shape else plain) @ kernel + bias
    np.testing.assert_allclose(load(tmp_path / "m.keras", GREY).module(pixels).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_its_own_normalisation_is_of_pixels_divided_by_255(tmp_path: Path) -> None:
    model = functional((6, 5, 1), [keras.layers.Flatten(), keras.layers.Dense(3)])
    model.save(tmp_path / "m.keras")
    pixels = torch.randint(256, (4, 1, 6, 5), dtype=torch.uint8)
    found = load(tmp_path / "m.keras", GREY, keras={"mean": [0.0], "std": [1.0]}).module(pixels)
    expected = own_outputs(model, pixels.numpy().transpose(0, 2, 3, 1).astype(np.float32) / 255)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ending", ["sigmoid", None, "hidden"])
def test_one_number_for_two_classes_is_the_second_ones_logit(tmp_path: Path, ending: str | None) -> None:
    last = [keras.layers.Dense(1, activation="sigmoid"), keras.layers.Reshape((1,))]
    layers = last if ending == "hidden" else [keras.layers.Dense(1, activation=ending)]
    model = functional((7,), layers)
    model.save(tmp_path / "m.keras")
    rows = torch.randn(9, 7)
    outputs = own_outputs(model, rows.numpy())
    shares = outputs if ending else 1 / (1 + np.exp(-outputs))
    logits = load(tmp_path / "m.keras", TWO).module(rows)
    if ending == "hidden":
        torch.testing.assert_close(logits.sum(1), torch.zeros(9), atol=1e-5, rtol=0)
    found = logits.softmax(1).numpy()
    np.testing.assert_allclose(found, np.concatenate([1 - shares, shares], 1), atol=1e-6)


@pytest.mark.parametrize(
    "ending",
    [
        lambda: keras.layers.Activation("softmax"),
        keras.layers.Softmax,
        lambda: keras.layers.Activation("sigmoid"),
        lambda: keras.layers.Dense(3, activation="softmax"),
        lambda: sequential((3,), [keras.layers.Dense(3), keras.layers.Activation("softmax")]),
        lambda: sequential((3,), [keras.layers.Dense(3, activation="softmax")]),
    ],
    ids=["softmax", "layer", "sigmoid", "dense", "nested activation", "nested dense"],
)
def test_a_last_layer_that_is_called_before_too_stays_in_its_other_places(
    tmp_path: Path, ending: Callable[[], Any]
) -> None:
    last, inputs = ending(), keras.Input((7,))
    model = keras.Model(inputs, last(keras.layers.Dense(3)(last(keras.layers.Dense(3)(inputs)))))
    model.save(tmp_path / "m.keras")
    rows = torch.randn(9, 7)
    outputs = own_outputs(model, rows.numpy())
    logits = load(tmp_path / "m.keras", ROWS).module(rows).double().numpy()
    if np.allclose(outputs.sum(1), 1):
        np.testing.assert_allclose(log_softmax(logits), np.log(outputs), rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_allclose(1 / (1 + np.exp(-logits)), outputs, rtol=1e-5, atol=1e-5)


def test_an_h5_file_with_the_keys_of_keras_2_is_read(tmp_path: Path) -> None:
    """Keras 2 wrote `groups` for depthwise convolutions, and a kernel that separable ones do not have."""
    import h5py

    path = tmp_path / "old.h5"
    model = made(functional, conv, (6, 5, 2), "dense", path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] in ("DepthwiseConv2D", "SeparableConv2D"):
                layer["config"]["groups"] = 1
            if layer["class_name"] == "SeparableConv2D":
                layer["config"] |= {"kernel_initializer": None, "kernel_regularizer": None, "kernel_constraint": None}
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(TypeError, match="groups"):
        keras.saving.load_model(path, compile=False)
    pixels = torch.randint(256, (3, 2, 6, 5))
    theirs = (pixels.numpy().transpose(0, 2, 3, 1) - np.array([100, 90])) / np.array([50, 60])
    found = load(path, IMAGES).module(pixels).softmax(1).numpy()
    np.testing.assert_allclose(found, own_outputs(model, theirs.astype(np.float32)), atol=1e-5)


def test_it_is_frozen_and_in_eval_mode_and_travels_as_itself(tmp_path: Path) -> None:
    made(sequential, dense, (7,), "dense", tmp_path / "m.keras")
    module = load(tmp_path / "m.keras", ROWS).module
    (tmp_path / "m.keras").unlink()
    rows = torch.randn(5, 7)
    for other in (module, pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert not any(parameter.requires_grad for parameter in other.parameters())
        assert not any(each.training for each in other.modules())
        assert torch.equal(other(rows), module(rows))


class Doubling(keras.layers.Layer):  # type: ignore[misc]
    """A layer of one's own."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2


def test_a_layer_of_ones_own_is_named_by_its_dotted_path(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    model = functional((7,), [Doubling(), keras.layers.Dense(3)])
    model.save(path)
    refused(path, r"cannot be read by Keras .*; name the class in teacher\.keras\.custom_objects")
    table = {"custom_objects": {"Doubling": "test_keras_teacher:Doubling"}}
    rows = torch.randn(4, 7)
    np.testing.assert_allclose(load(path, ROWS, keras=table).module(rows), own_outputs(model, rows.numpy()), rtol=1e-5)
    wrong = {"custom_objects": {"Doubling": "test_keras_teacher:Tripling"}}
    with pytest.raises(TeacherError, match=r"^teacher\.keras\.custom_objects: .*no 'Tripling'"):
        load(path, ROWS, keras=wrong)


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
    refused(path, rf"^teacher\.path: 'm{suffix}' cannot be read by Keras ")


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


def refused(path: Path, message: str) -> None:
    """In one line, not too long to read."""
    with pytest.raises(TeacherError, match=message) as caught:
        load(path, ROWS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_missing_extra_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As somebody without Keras meets it: exit status 2, one line."""
    (tmp_path / "m.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "keras", None)
    told = {"source": "digits"}, {"source": "keras", "path": str(tmp_path / "m.h5")}, {"family": "mlp"}
    run = tmp_path / "run.toml"
    run.write_text(tomli_w.dumps(dict(zip(("data", "teacher", "student"), told, strict=True))))
    assert main([str(run), "--storage", str(tmp_path / "results")]) == 2
    (line,) = [each for each in capsys.readouterr().err.splitlines() if "teacher.source" in each]
    assert "'keras' needs Keras" in line
    assert "`pip install keras`" in line


# Beginning with its weights


def keras_mlp(path: Path, widths: list[int]) -> Any:
    layers = [*(keras.layers.Dense(width, "relu") for width in widths), keras.layers.Dense(4, "softmax")]
    keras.utils.set_random_seed(1)
    model = sequential((8,), layers)
    model.save(path)
    return model


@pytest.mark.parametrize("init", ["inherit", "truncate"])
def test_a_student_begins_with_the_weights_of_a_keras_mlp(tmp_path: Path, init: str) -> None:
    model = keras_mlp(tmp_path / "high_dimensional_model.h5", [32, 16])
    teacher = {"source": "keras", "path": str(tmp_path / "high_dimensional_model.h5"), "mlp": {"widths": [32, 16]}}
    student = {"family": "mlp", "init": init, "mlp": {"widths": [32, 6]}}
    space = run_space(TABLE, teacher={**teacher, "family": "mlp"}, student=student)
    preparation = prepare(space, tmp_path / "cache", print)
    materials = Materials.open(preparation.prepared, space.config)
    rows = preparation.dataset.split("validation").inputs
    logits = label_inputs(preparation.teacher, rows, np.arange(len(rows)))
    np.testing.assert_allclose(np.exp(log_softmax(logits)), own_outputs(model, rows), atol=1e-5)
    begun = materials.build_student(space.config)
    space.config.student.chosen("init").begin(begun, space.config, materials)
    kernel = model.get_weights()[0].T
    first = next(begun.parameters()).detach().numpy()
    assert {tuple(row) for row in first} == {tuple(row) for row in kernel}


def test_its_norm_is_that_of_what_was_trained(tmp_path: Path) -> None:
    """Neither batch statistics nor the state of dropout's generator, though Keras on torch calls them parameters."""
    layers = [
        keras.layers.Dense(6),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(4),
    ]
    model = sequential((8,), layers)
    model.save(tmp_path / "m.keras")
    teacher = {"source": "keras", "path": str(tmp_path / "m.keras")}
    space = run_space({**TABLE, "teacher": {}}, teacher=teacher, regularization={"norm_ratio": 0.5})
    preparation = prepare(space, tmp_path / "cache", print)
    weights = Materials.open(preparation.prepared, space.config).teacher_weights
    assert weights is not None
    squares = [np.square(variable.numpy(), dtype=np.float64).sum() for variable in model.trainable_variables]
    assert weights.norm == pytest.approx(np.sqrt(sum(squares)), rel=1e-6)


def test_a_keras_convnet_of_ours_is_one_of_ours(tmp_path: Path) -> None:
    """Batch statistics too, whose epsilon is another in Keras."""
    config = {"family": "convnet", "convnet": {"width": 4, "depth": 1, "first_stride": 1}}
    layers = [
        keras.layers.Conv2D(4, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3),
    ]
    model = sequential((6, 5, 2), layers)
    generator = np.random.default_rng(0)
    model.set_weights([np.abs(generator.normal(0.3, 0.3, w.shape)).astype(np.float32) for w in model.get_weights()])
    model.save(tmp_path / "m.keras")
    pixels = torch.randint(256, (4, 2, 6, 5))
    plain, ours = load(tmp_path / "m.keras", IMAGES), load(tmp_path / "m.keras", IMAGES, **config)
    torch.testing.assert_close(ours.module(pixels), plain.module(pixels), rtol=1e-4, atol=1e-4)
    assert "normalise.mean" in ours.module.state_dict()


@pytest.mark.parametrize(
    ("widths", "activation", "message"),
    [
        ([32, 8], "relu", "size mismatch"),
        ([32, 16, 8], "relu", "size mismatch"),
        ([32, 16], "gelu", "their logits differ by"),
    ],
)
def test_a_family_that_the_model_is_not_is_refused(
    tmp_path: Path, widths: list[int], activation: str, message: str
) -> None:
    keras_mlp(tmp_path / "m.keras", [32, 16])
    data_spec = DataSpec(tuple("abcd"), (8,), (), (), "data", 10)
    with pytest.raises(
        TeacherError, match=rf"^teacher\.family: .* not built like 'mlp'.*{message}.*set both"
    ) as caught:
        load(tmp_path / "m.keras", data_spec, family="mlp", mlp={"widths": widths, "activation": activation})
    assert "\n" not in str(caught.value)


def test_a_probability_that_is_rounded_to_one_has_finite_logits_all_the_same() -> None:
    logits = two_logits(torch.tensor([[1.0], [0.0], [0.25]]))
    assert bool(logits.isfinite().all())
    torch.testing.assert_close(logits.softmax(1)[:, 1:], torch.tensor([[1.0], [0.0], [0.25]]))
