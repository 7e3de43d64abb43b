"""What every teacher source guarantees; a new one adds a way to make it."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from pretended_gpu import pretended_gpu
from runs import IMAGES, TABLE, run_space
from safetensors.torch import save_file
from torch import nn

from distill_tune.arrays import read_arrays
from distill_tune.distillation.cache.labelling import label_inputs
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import Preparation, prepare
from distill_tune.distillation.preparation.ready_teachers import data_spec_of
from distill_tune.distillation.training.loop import distill
from distill_tune.errors import TeacherError
from distill_tune.registry import TEACHERS
from distill_tune.train import main

# From Keras itself
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
FAST = {"epochs": 1, "precision": "float32"}
Section = dict[str, Any]


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4))


def of_logits(folder: Path) -> Section:
    np.save(folder / "l.npy", np.random.default_rng(0).normal(size=(600, 4)))
    return {"path": str(folder / "l.npy")}


def of_torch(folder: Path) -> Section:
    save_file(network().state_dict(), folder / "w.safetensors")
    return {"path": str(folder / "w.safetensors"), "torch": {"factory": "test_every_source:network"}}


def of_keras(folder: Path) -> Section:
    import os

    os.environ["KERAS_BACKEND"] = "torch"
    keras = pytest.importorskip("keras", reason="pip install keras")
    keras.Sequential([keras.Input((8,)), keras.layers.Dense(4, "softmax")]).save(folder / "m.keras")
    return {"path": str(folder / "m.keras")}


def of_onnx(folder: Path) -> Section:
    from onnx_models import Model

    return {"path": str(Model(sample=(8,), classes=4, ending=("Softmax",)).write(folder / "m.onnx"))}


def of_result(folder: Path) -> Section:
    run = {**TABLE, "teacher": {"family": "mlp", "train": FAST}, "search": {"max_epochs": 1}}
    (folder / "run.toml").write_text(tomli_w.dumps(run))
    assert main([str(folder / "run.toml"), "--storage", str(folder), "--name", "earlier"]) == 0
    return {"path": str(folder / "earlier")}


def of_ensemble(folder: Path) -> Section:
    members = {"a": {"source": "torch", **of_torch(folder)}, "b": {"family": "mlp", "train": FAST}}
    return {"ensemble": {"members": members, "weights": {"a": 0.3}}}


def of_timm(folder: Path) -> Section:
    """On images, the only input of its networks."""
    timm = pytest.importorskip("timm", reason="pip install timm")
    arguments = {"img_size": 8, "patch_size": 4, "depth": 1}
    model = timm.create_model("test_vit", in_chans=1, num_classes=10, **arguments)
    save_file(model.state_dict(), folder / "w.safetensors")
    return {"path": str(folder / "w.safetensors"), "timm": {"model": "test_vit", "arguments": arguments}}


def of_huggingface(folder: Path) -> Section:
    """With colour, larger images, and labels in another order than the digits'."""
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 1}
    labels = {place: str(9 - place) for place in range(10)}
    config = transformers.ViTConfig(image_size=12, patch_size=4, id2label=labels, **sizes)
    transformers.ViTForImageClassification(config).save_pretrained(folder / "vit")
    return {"path": str(folder / "vit")}


MAKE: dict[str, Callable[[Path], Section]] = {
    "ensemble": of_ensemble,
    "huggingface": of_huggingface,
    "keras": of_keras,
    "logits": of_logits,
    "onnx": of_onnx,
    "result": of_result,
    "timm": of_timm,
    "torch": of_torch,
    "train": lambda folder: {"family": "mlp", "train": FAST},
}
every_source = pytest.mark.parametrize("name", TEACHERS.names)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Section, Preparation]]:
    """`made(name)`: the section and its preparation, made once for all tests."""
    kept: dict[str, tuple[Section, Preparation]] = {}

    def make(name: str) -> tuple[Section, Preparation]:
        assert name in MAKE, f"{Path(__file__).name}: add how to make the teacher source {name!r} to MAKE"
        if name not in kept:
            folder = tmp_path_factory.mktemp(name)
            section = {"source": name, **MAKE[name](folder)}
            kept[name] = section, prepare(space_of(section), folder / "cache", lambda line: None)
        return kept[name]

    return make


def space_of(section: Section, **sections: Section) -> Any:
    base = IMAGES if section["source"] in ("huggingface", "timm") else TABLE
    return run_space({**base, "teacher": {}}, teacher=section, **sections)


def untimed(report: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in report.items() if "time/" not in name and name != "samples_per_s"}


@every_source
def test_it_gives_finite_raw_logits_for_every_sample(name: str, made: Any) -> None:
    section, preparation = made(name)
    outputs = Materials.open(preparation.prepared, space_of(section).config).teacher
    rows = preparation.dataset.num_rows
    for logits, count in ((outputs.validation, rows["validation"]), (outputs.logits(0), rows["train"])):
        assert (logits.shape, logits.dtype) == ((count, len(preparation.dataset.classes)), torch.float32)
        assert logits.isfinite().all()


@every_source
def test_a_sample_is_labelled_alike_alone_and_among_others(name: str, made: Any) -> None:
    _, preparation = made(name)
    split = preparation.dataset.split("validation")
    together = label_inputs(preparation.teacher, split.inputs, split.index)
    alone = label_inputs(preparation.teacher, split.inputs[3:4], split.index[3:4])
    np.testing.assert_allclose(alone, together[3:4], rtol=1e-4, atol=1e-5)


@every_source
def test_it_teaches_on_a_gpu_what_it_teaches_on_a_cpu(name: str, made: Any, tmp_path: Path) -> None:
    """Before the students train (cached) and while one does (live), on the pretended GPU (`pretended_gpu.py`)."""
    section, _ = made(name)
    on_a_gpu = {"resources": {"gpus_per_worker": 1}, "optim": {"precision": "float32"}, "search": {"max_epochs": 1}}

    def taught(mode: str, device: str) -> tuple[torch.Tensor, dict[str, float]]:
        space = space_of({**section, "mode": mode}, **on_a_gpu)
        prepared = prepare(space, tmp_path / device, lambda line: None).prepared
        materials = Materials.open(prepared, space.config, device)
        (epoch,) = distill(space.config, materials, 0, device)
        assert materials.teacher is not None
        return materials.teacher.validation.cpu(), untimed(epoch.report)

    for mode in ["cached", "live"] if TEACHERS.get(name).has_network else ["cached"]:
        logits, report = taught(mode, "cpu")
        with pretended_gpu():
            own_logits, own_report = taught(mode, "cuda")
        assert torch.equal(own_logits, logits)
        assert own_report == report


@every_source
def test_its_identity_stays_while_nothing_changes_and_is_found_again(name: str, made: Any) -> None:
    section, preparation = made(name)
    config, data_spec = space_of(section).config.teacher, data_spec_of(preparation.dataset)
    assert config.chosen("source").identity(config, data_spec) == config.chosen("source").identity(config, data_spec)
    said: list[str] = []
    folder = preparation.dataset.folder.parent
    again = prepare(space_of(section), folder, said.append).prepared
    assert again.teacher_folder == preparation.prepared.teacher_folder
    assert again.member_folders == preparation.prepared.member_folders
    assert not any("labels" in line or "training" in line for line in said)


@every_source
def test_a_network_is_frozen_in_eval_mode_and_travels_to_workers(name: str, made: Any) -> None:
    _, preparation = made(name)
    module = preparation.teacher.module
    assert (module is not None) == TEACHERS.get(name).has_network
    if module is not None:
        assert not any(each.training for each in module.modules())
        assert not any(parameter.requires_grad for parameter in module.parameters())
        inputs = torch.randn(5, *preparation.dataset.input_shape)
        assert torch.equal(pickle.loads(pickle.dumps(module))(inputs), module(inputs))
        assert preparation.teacher.parameters > 0


@pytest.mark.parametrize("name", [name for name in TEACHERS.names if "path" in TEACHERS.get(name).needs])
def test_a_path_to_nothing_is_refused_in_one_line(name: str, made: Any, tmp_path: Path) -> None:
    section, _ = made(name)
    with pytest.raises(TeacherError, match=r"^teacher\.path: ") as caught:
        prepare(space_of({**section, "path": str(tmp_path / "none")}), tmp_path, lambda line: None)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("teacher-*"))


@every_source
def test_its_outputs_are_kept_with_their_checksums(name: str, made: Any) -> None:
    _, preparation = made(name)
    folders = preparation.prepared.member_folders or {"": preparation.prepared.teacher_folder}
    for folder in folders.values():
        (outputs,) = folder.glob("views-*")
        assert (outputs / "checksums.json").exists()
        assert set(read_arrays(outputs / "train.arrow")) == {"view_00000"}
