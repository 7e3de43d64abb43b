"""A Hugging Face teacher: its logits are transformers' own, in the order of the data's classes."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_models import (
    IMAGES,
    MEAN,
    STD,
    edit,
    like,
    load,
    pixels,
    refused,
    resnet,
    transformers,
    vit,
    vit_config,
    without,
    write_preprocessing,
)
from runs import IMAGES as DIGITS
from runs import run_space
from torch import Tensor, nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.teachers._huggingface import ImageClassifier
from distill_tune.teachers._order import put_in_order


@pytest.mark.parametrize("make", [vit, resnet])
def test_its_logits_are_transformers_own_on_inputs_normalised_by_the_data(tmp_path: Path, make: Any) -> None:
    model, images = make(tmp_path / "m"), pixels(4, 3, 16, 16)
    loaded = load(tmp_path / "m")
    expected = model((images - like(3, [100, 90, 80])) / like(3, [50, 60, 70])).logits
    torch.testing.assert_close(loaded.module(images), expected, rtol=1e-4, atol=1e-5)
    assert loaded.parameters == sum(p.numel() for p in model.parameters())
    travelled = pickle.loads(pickle.dumps(loaded.module))
    assert torch.equal(travelled(images), loaded.module(images))


@pytest.mark.parametrize("make", [vit, resnet])
def test_labels_of_the_datas_names_are_put_in_the_datas_order(tmp_path: Path, make: Any) -> None:
    model, images = make(tmp_path / "m"), pixels(4, 3, 16, 16)
    edit(tmp_path / "m" / "config.json", id2label={"0": "c", "1": "a", "2": "b"})
    said: list[str] = []
    loaded = load(tmp_path / "m", said=said)
    expected = model((images - like(3, [100, 90, 80])) / like(3, [50, 60, 70])).logits[:, [1, 2, 0]]
    torch.testing.assert_close(loaded.module(images), expected, rtol=1e-4, atol=1e-5)
    assert said == ["teacher: its logits are put in the order of the data's classes (a, b, c)"]


def test_columns_are_put_in_order_too_where_no_layer_puts_the_logits_out() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleList(nn.Linear(4, 3) for _ in range(2))

        def forward(self, pixel_values: Tensor, return_dict: bool) -> Any:
            logits = sum(head(pixel_values.flatten(1)) for head in self.heads) / 2
            return transformers.modeling_outputs.ImageClassifierOutput(logits=logits)

    network, images = ImageClassifier(TwoHeads(), 1), torch.randn(5, 1, 2, 2)
    before = network(images)
    put_in_order(network, [2, 0, 1], (1, 2, 2))
    assert torch.equal(network(images), before[:, [2, 0, 1]])


@pytest.mark.parametrize("labels", [{"0": "a", "1": "b", "2": "c"}, {"0": "c", "1": "a", "2": "b"}])
def test_its_layers_are_known_by_name_and_its_logits_are_no_feature(tmp_path: Path, labels: dict[str, str]) -> None:
    resnet(tmp_path / "m")
    edit(tmp_path / "m" / "config.json", id2label=labels)
    anatomy = anatomy_of(load(tmp_path / "m").module, IMAGES.input_shape)
    assert anatomy.shapes["model.resnet.encoder.stages.1"] == (16, 2, 2)
    assert anatomy.last == "model.classifier.0"
    assert not {"model", "model.classifier", "model.classifier.1"} & set(anatomy.shapes)


@pytest.mark.parametrize(
    "name", ["config.json", "model.safetensors", "preprocessor_config.json", "processor_config.json"]
)
def test_another_file_is_another_teacher(tmp_path: Path, name: str) -> None:
    vit(tmp_path / "m")
    write_preprocessing(tmp_path / "m", image_mean=MEAN, image_std=STD)
    (tmp_path / "m" / "processor_config.json").write_text("{}")
    config = TeacherConfig(source="huggingface", path=str(tmp_path / "m"))
    before = config.chosen("source").identity(config, IMAGES)
    (tmp_path / "m" / "README.md").write_text("says nothing")
    assert config.chosen("source").identity(config, IMAGES) == before
    (tmp_path / "m" / name).write_bytes((tmp_path / "m" / name).read_bytes() + b" ")
    assert config.chosen("source").identity(config, IMAGES) != before


def test_weights_in_several_files_are_read(tmp_path: Path) -> None:
    model = vit(tmp_path / "m")
    model.save_pretrained(tmp_path / "parts", max_shard_size="5KB")
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 1
    images = pixels(2, 3, 16, 16)
    assert torch.equal(load(tmp_path / "parts").module(images), load(tmp_path / "m").module(images))
    first = next((tmp_path / "parts").glob("model-00001-*"))
    assert f"names '{first.name}', which is no safetensors file that is there" in refused(
        without(tmp_path / "parts", first.name)
    )


def test_a_name_is_the_hubs_which_is_found_in_its_cache_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    message = refused("someone/model")
    assert message.startswith("teacher.path: there is no folder 'someone/model', and the Hub gives no model of that na")
    of_model, commit = tmp_path / "hub" / "models--someone--model", "0" * 40
    vit(of_model / "snapshots" / commit)
    (of_model / "refs").mkdir()
    (of_model / "refs" / "main").write_text(commit)
    vit(tmp_path / "m")
    images = pixels(2, 3, 16, 16)
    assert torch.equal(load("someone/model").module(images), load(tmp_path / "m").module(images))


def student(input_shape: tuple[int, ...], classes: int, depth: int = 1) -> nn.Module:
    config = vit_config(
        image_size=12, num_hidden_layers=depth, id2label={place: str(place) for place in range(classes)}
    )
    return ImageClassifier(transformers.ViTForImageClassification(config), 3, (12, 12))


def test_a_student_of_its_kind_begins_with_its_first_blocks_and_compares_features(tmp_path: Path) -> None:
    theirs = vit(tmp_path / "m", image_size=12, num_hidden_layers=3, id2label={n: str(9 - n) for n in range(10)})
    name = "test_huggingface_teacher:student"
    space = run_space(
        {**DIGITS, "teacher": {}, "student": {}},
        teacher={"source": "huggingface", "path": str(tmp_path / "m")},
        student={"family": name, "init": "truncate", "truncate": {"layers": 1}, name: {"depth": 2}},
        loss={"kind": "rkd", "rkd": {"on": "features"}},
    )
    preparation = prepare(space, tmp_path / "cache", lambda line: None)
    materials = Materials.open(preparation.prepared, space.config)
    network = materials.build_student(space.config)
    space.config.student.chosen("init").begin(network, space.config, materials)
    ours, state = network.network.model.state_dict(), theirs.state_dict()
    assert any(name.startswith("vit.layers.0") for name in ours)
    for key in (key for key in ours if key.startswith(("vit.embeddings", "vit.layers.0"))):
        assert torch.equal(ours[key], state[key]), key
    assert not torch.equal(ours["vit.layers.1.mlp.fc1.weight"], state["vit.layers.1.mlp.fc1.weight"])
