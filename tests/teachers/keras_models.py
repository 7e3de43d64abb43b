"""Saved Keras models, and teachers that are loaded from them."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loaded_teachers import ROWS, loaded_from

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher

os.environ["KERAS_BACKEND"] = "torch"  # before the first import
keras = pytest.importorskip("keras", reason="pip install keras")

KERAS_OWN_WARNINGS = [
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),  # Keras' own
]
Layers = list[Any]


def load(path: Path, data_spec: DataSpec, said: Callable[[str], None] = print, **table: Any) -> LoadedTeacher:
    """Load the way `prepare` does."""
    config = TeacherConfig(source="keras", path=str(path), **table)
    return loaded_from(config, data_spec, path.parent, said)


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
    """Save and return a model whose weights and statistics are not the defaults."""
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


def refused(path: Path, message: str) -> None:
    """Check for one line that is not too long to read."""
    with pytest.raises(TeacherError, match=message) as caught:
        load(path, ROWS)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
