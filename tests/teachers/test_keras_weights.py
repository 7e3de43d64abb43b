"""The weights of a Keras teacher: students that begin with them, their norm, and the family of ours that they are."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras_models import KERAS_OWN_WARNINGS, keras, load, log_softmax, own_outputs, sequential
from loaded_teachers import IMAGES
from runs import TABLE, run_space

from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec

pytestmark = KERAS_OWN_WARNINGS


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
    """Not batch statistics or dropout's generator state, though Keras on torch calls them parameters."""
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


@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False), (False, False)])
def test_a_keras_convnet_of_ours_is_one_of_ours(tmp_path: Path, scale: bool, center: bool) -> None:
    """Batch statistics too, whose epsilon differs in Keras, where scale and offset may be left out."""
    config = {"family": "convnet", "convnet": {"width": 4, "depth": 1, "first_stride": 1}}
    layers = [
        keras.layers.Conv2D(4, 3, padding="same", use_bias=False),
        keras.layers.BatchNormalization(scale=scale, center=center),
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
