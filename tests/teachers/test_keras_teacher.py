"""A Keras teacher: its logits are Keras' own, with or without a softmax."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras_models import (
    ENDINGS,
    KERAS_OWN_WARNINGS,
    Layers,
    conv,
    dense,
    functional,
    keras,
    load,
    log_softmax,
    made,
    nested,
    own_outputs,
    refused,
    sequential,
)
from loaded_teachers import GREY, IMAGES, ROWS, TWO

from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec
from distill_tune.teachers._foreign import two_logits

pytestmark = KERAS_OWN_WARNINGS


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
        kept = np.isfinite(expected) & (expected > -20)  # below, float32 probabilities lack digits
        assert kept.sum() > 12
        np.testing.assert_allclose(log_softmax(found)[kept], expected[kept], rtol=1e-5, atol=1e-5)
    if ending == "in the middle":  # a sample's logarithms can have any mean here, which losses on logits would see
        np.testing.assert_allclose(found.mean(1), 0, atol=1e-4)
    assert loaded.parameters == sum(weight.value.numel() for weight in model.trainable_weights)


@pytest.mark.parametrize("ending", ["softmax", "log_softmax"])
def test_a_softmax_that_was_taken_off_leaves_logits_where_probabilities_have_run_out_of_digits(
    tmp_path: Path, ending: str
) -> None:
    model = functional((7,), [keras.layers.Dense(3, activation=ending)])
    kernel, bias = np.zeros((7, 3), np.float32), np.array([0, 200, -200], np.float32)
    model.set_weights([kernel, bias])
    model.save(tmp_path / "m.keras")
    said: list[str] = []
    loaded = load(tmp_path / "m.keras", ROWS, said.append)
    np.testing.assert_array_equal(loaded.module(torch.zeros(1, 7)).numpy(), [[0, 200, -200]])
    assert said == [f"teacher: the last {ending.replace('_', '-')} is taken off, so that its outputs are raw logits"]


def test_a_model_that_was_saved_frozen_has_its_weights_all_the_same(tmp_path: Path) -> None:
    model = functional((7,), [keras.layers.Dense(4), keras.layers.BatchNormalization(), keras.layers.Dense(3)])
    count = sum(weight.value.numel() for weight in model.trainable_weights)
    model.trainable = False
    model.save(tmp_path / "m.keras")
    loaded = load(tmp_path / "m.keras", ROWS)
    assert loaded.parameters == count == 7 * 4 + 4 + 2 * 4 + 4 * 3 + 3
    rows = torch.randn(9, 7)
    np.testing.assert_allclose(loaded.module(rows).numpy(), own_outputs(model, rows.numpy()), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (1, 6, 5), (30,), (None, None, 1)])
def test_an_image_is_arranged_as_the_model_reads_it(tmp_path: Path, shape: tuple[int | None, ...]) -> None:
    """Each reads the pixels in their order, so all give the same."""
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
    """Keras 2 wrote `groups` for depthwise convolutions, and kernel options that separable ones lack."""
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
    """A custom layer."""

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


def test_a_probability_that_is_rounded_to_one_has_finite_logits_all_the_same() -> None:
    logits = two_logits(torch.tensor([[1.0], [0.0], [0.25]]))
    assert bool(logits.isfinite().all())
    torch.testing.assert_close(logits.softmax(1)[:, 1:], torch.tensor([[1.0], [0.0], [0.25]]))
