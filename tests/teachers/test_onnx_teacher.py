"""An ONNX teacher: its logits are those that NumPy, or the PyTorch network it comes from, computes."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from loaded_teachers import GREY, IMAGES, ROWS, TWO
from onnx_models import Model, identity, load, refused
from runs import TABLE, run_space
from torch import nn

from distill_tune.distillation.cache.labelling import at_a_time
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import distill
from distill_tune.teachers import DataSpec

ROWS_OF_DATA = torch.randn(11, 7, generator=torch.Generator().manual_seed(1))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return np.asarray(torch.from_numpy(logits).double().log_softmax(1).numpy())


@pytest.mark.parametrize("ending", [(), ("Softmax",), ("LogSoftmax",), ("Softmax", "Identity")])
def test_a_softmax_is_taken_off_so_that_its_outputs_are_the_last_layers(
    tmp_path: Path, ending: tuple[str, ...]
) -> None:
    model, said = Model(ending=ending), list[str]()
    loaded = load(model.write(tmp_path / "m.onnx"), ROWS, said.append)
    assert loaded.module is not None
    found = loaded.module(ROWS_OF_DATA)
    np.testing.assert_allclose(found, model.logits(ROWS_OF_DATA.numpy()), rtol=1e-5, atol=1e-5)
    assert found.dtype == torch.float32
    assert loaded.parameters == 7 * 3 + 3
    assert any("is taken off" in line for line in said) == bool(ending)


def test_probabilities_that_cannot_be_taken_off_are_logarithms_in_the_place_of_logits(tmp_path: Path) -> None:
    model, said = Model(ending=("Softmax", "Abs")), list[str]()
    loaded = load(model.write(tmp_path / "m.onnx"), ROWS, said.append)
    assert loaded.module is not None
    found = loaded.module(ROWS_OF_DATA).numpy()
    np.testing.assert_allclose(
        log_softmax(found), log_softmax(model.logits(ROWS_OF_DATA.numpy())), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_allclose(found.mean(1), 0, atol=1e-5)
    assert said == ["teacher: its outputs are probabilities; their logarithms stand for the logits"]


@pytest.mark.parametrize("ending", [(), ("Sigmoid",), ("Sigmoid", "Abs")])
def test_one_output_is_of_the_second_of_two_classes(tmp_path: Path, ending: tuple[str, ...]) -> None:
    model = Model(classes=1, ending=ending)
    loaded = load(model.write(tmp_path / "m.onnx"), TWO)
    assert loaded.module is not None
    logit = model.logits(ROWS_OF_DATA.numpy())[:, 0]
    found = loaded.module(ROWS_OF_DATA).numpy()
    np.testing.assert_allclose(found[:, 1] - found[:, 0], logit, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_one_logit_of_a_model_that_knows_little_is_taken_for_no_probability(tmp_path: Path, seed: int) -> None:
    model = Model(classes=1)
    model.weight = np.random.default_rng(seed).normal(size=(7, 1)).astype(np.float32) / 20
    model.bias = np.full(1, 0.4, np.float32)
    assert (abs(model.logits(ROWS_OF_DATA.numpy()) - 0.5) < 0.5).all(), "so that it could be one"
    loaded = load(model.write(tmp_path / "m.onnx"), TWO)
    assert loaded.module is not None
    found = loaded.module(ROWS_OF_DATA).numpy()
    np.testing.assert_allclose(found[:, 1:] - found[:, :1], model.logits(ROWS_OF_DATA.numpy()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch", [1, 4, 11, 64])
def test_a_model_of_so_many_samples_at_a_time_labels_any_number_of_them(tmp_path: Path, batch: int) -> None:
    model = Model(batch=batch)
    loaded = load(model.write(tmp_path / "m.onnx"), ROWS)
    assert loaded.module is not None
    expected = model.logits(ROWS_OF_DATA.numpy())
    np.testing.assert_allclose(loaded.module(ROWS_OF_DATA), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.module(ROWS_OF_DATA[:1]), expected[:1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("batch", "shape", "portion"),
    [(32, (3, 224, 224), 32), (32, (7,), 1024), (1, (3, 224, 224), 8), ("rows", (7,), 1000)],
)
def test_a_portion_is_of_whole_batches_of_a_model_that_takes_no_others(
    tmp_path: Path, batch: int | str, shape: tuple[int, ...], portion: int
) -> None:
    loaded = load(Model(batch=batch).write(tmp_path / "m.onnx"), ROWS)
    assert loaded.module is not None
    assert at_a_time(loaded.module, shape) == portion


@pytest.mark.parametrize("dtype", ["FLOAT", "DOUBLE", "FLOAT16"])
@pytest.mark.parametrize(
    ("data_spec", "sample"), [(IMAGES, (2, 6, 5)), (IMAGES, (6, 5, 2)), (IMAGES, (60,)), (GREY, (6, 5)), (GREY, (30,))]
)
def test_images_are_normalised_and_arranged_as_it_reads_them(
    tmp_path: Path, data_spec: DataSpec, sample: tuple[int, ...], dtype: str
) -> None:
    model = Model(sample=sample, dtype=dtype)
    loaded = load(model.write(tmp_path / "m.onnx"), data_spec)
    assert loaded.module is not None
    pixels = torch.randint(256, (5, *data_spec.input_shape), dtype=torch.uint8)
    mean, std = (np.array(each).reshape(1, -1, 1, 1) for each in (data_spec.mean, data_spec.std))
    theirs = (pixels.numpy() - mean) / std
    if sample[-1:] == (2,):
        theirs = theirs.transpose(0, 2, 3, 1)
    tolerance = 2e-2 if dtype == "FLOAT16" else 1e-4
    np.testing.assert_allclose(loaded.module(pixels), model.logits(theirs), rtol=tolerance, atol=tolerance)


def test_a_model_of_bytes_gets_pixels_as_they_are_stored(tmp_path: Path) -> None:
    model = Model(sample=(1, 6, 5), dtype="UINT8")
    loaded = load(model.write(tmp_path / "m.onnx"), GREY)
    assert loaded.module is not None
    pixels = torch.randint(256, (5, 1, 6, 5), dtype=torch.uint8)
    np.testing.assert_allclose(loaded.module(pixels), model.logits(pixels.numpy()), rtol=1e-4, atol=1e-3)
    mixed = torch.tensor([-0.4, 0.6, 99.5001, 254.9999, 255.4]).repeat(6, 1).view(1, 1, 6, 5)  # float32 error, noise
    np.testing.assert_allclose(loaded.module(mixed), model.logits(mixed.numpy().round().clip(0)), rtol=1e-4, atol=1e-3)
    assert "reads bytes" in refused(tmp_path / "m.onnx", GREY, onnx={"mean": [0.5], "std": [0.5]})


def test_a_log_softmax_that_cannot_be_taken_off_has_no_shift_of_its_own_for_each_sample(tmp_path: Path) -> None:
    model = Model(ending=("LogSoftmax", "Neg", "Neg"))
    loaded = load(model.write(tmp_path / "m.onnx"), ROWS)
    assert loaded.module is not None
    logits = model.logits(ROWS_OF_DATA.numpy())
    expected = logits - logits.mean(1, keepdims=True)
    np.testing.assert_allclose(loaded.module(ROWS_OF_DATA), expected, rtol=1e-4, atol=1e-4)


def test_a_label_beside_the_probabilities_is_left_out_as_scikit_learns_models_have_it(tmp_path: Path) -> None:
    model = Model(further=[("label", "ArgMax")])
    loaded = load(model.write(tmp_path / "m.onnx"), ROWS)
    assert loaded.module is not None
    np.testing.assert_allclose(loaded.module(ROWS_OF_DATA), model.logits(ROWS_OF_DATA.numpy()), rtol=1e-5, atol=1e-5)


def test_of_several_outputs_of_floats_one_is_named(tmp_path: Path) -> None:
    model = Model(further=[("doubled", "Exp")])
    path = model.write(tmp_path / "m.onnx")
    assert refused(path, ROWS) == (
        "teacher.path: the model of 'm.onnx' must have one output of floats, but has 'doubled' (float tensor), 'dense' "
        "(float tensor). Name it in teacher.onnx.output."
    )
    loaded = load(path, ROWS, onnx={"output": "dense"})
    assert loaded.module is not None
    np.testing.assert_allclose(loaded.module(ROWS_OF_DATA), model.logits(ROWS_OF_DATA.numpy()), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`isinstance:FutureWarning")  # from PyTorch's exporter
def test_what_pytorch_exports_says_what_the_network_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(120, 3), nn.Softmax(1)
    ).eval()
    rows = ({0: "rows"},)
    torch.onnx.export(network, (torch.zeros(2, 2, 6, 5),), tmp_path / "m.onnx", dynamic_shapes=rows, verbose=False)
    loaded = load(tmp_path / "m.onnx", IMAGES)
    assert loaded.module is not None
    pixels = torch.randint(256, (5, 2, 6, 5), dtype=torch.uint8)
    normalised = (pixels - torch.tensor([100.0, 90.0]).view(1, 2, 1, 1)) / torch.tensor([50.0, 60.0]).view(1, 2, 1, 1)
    with torch.no_grad():
        torch.testing.assert_close(loaded.module(pixels), network[:-1](normalised), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(copy.deepcopy(loaded.module)(pixels), loaded.module(pixels))


def test_weights_in_a_file_beside_it_are_read_and_another_file_is_another_teacher(tmp_path: Path) -> None:
    model = Model()
    path = model.write(tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    loaded = load(path, ROWS)
    assert loaded.module is not None
    np.testing.assert_allclose(loaded.module(ROWS_OF_DATA), model.logits(ROWS_OF_DATA.numpy()), rtol=1e-5, atol=1e-5)
    before = identity(path)
    content = bytearray((tmp_path / "m.data").read_bytes())
    content[0] ^= 1
    (tmp_path / "m.data").write_bytes(content)
    assert identity(path) != before
    (tmp_path / "m.data").unlink()
    assert refused(path, ROWS).startswith("teacher.path: 'm.onnx' is no ONNX model that can be read (")


@pytest.mark.parametrize("batch", [3, "rows"])
def test_of_no_samples_there_are_no_logits(tmp_path: Path, batch: int | str) -> None:
    loaded = load(Model(batch=batch).write(tmp_path / "m.onnx"), ROWS)
    assert loaded.module is not None
    assert loaded.module(ROWS_OF_DATA[:0]).shape == (0, 3)


def test_a_live_one_teaches_as_its_cached_outputs_do(tmp_path: Path) -> None:
    path = str(Model(sample=(8,), classes=4, ending=("Softmax",)).write(tmp_path / "m.onnx"))
    reports = []
    for mode in ("cached", "live"):
        space = run_space({**TABLE, "teacher": {}}, teacher={"source": "onnx", "path": path, "mode": mode})
        preparation = prepare(space, tmp_path / mode, lambda line: None)
        materials = Materials.open(preparation.prepared, space.config)
        *_, last = distill(space.config, materials, 0)
        reports.append({name: last.report[name] for name in ("train/loss", "train/soft_loss", "val/accuracy")})
    assert reports[0] == pytest.approx(reports[1], rel=1e-4)
    assert reports[0]["train/soft_loss"] > 0


def test_it_may_be_one_of_several(tmp_path: Path) -> None:
    members = {
        name: {"source": "onnx", "path": str(Model(sample=(8,), classes=4, ending=ending).write(tmp_path / name))}
        for name, ending in (("a.onnx", ()), ("b.onnx", ("Softmax", "Abs")))
    }
    members = {name.partition(".")[0]: section for name, section in members.items()}
    space = run_space({**TABLE, "teacher": {}}, teacher={"source": "ensemble", "ensemble": {"members": members}})
    preparation = prepare(space, tmp_path / "cache", lambda line: None)
    inputs = preparation.dataset.split("validation").inputs
    logits = Model(sample=(8,), classes=4).logits(np.asarray(inputs))
    found = preparation.teacher.module(torch.from_numpy(np.array(inputs)))  # type: ignore[misc]
    np.testing.assert_allclose(log_softmax(found.numpy()), log_softmax(logits), rtol=1e-3, atol=1e-3)
