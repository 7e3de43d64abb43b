"""A Hugging Face teacher: its logits are transformers' own, and what does not fit is refused in one line."""

import json
import pickle
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import IMAGES as DIGITS
from runs import run_space
from torch import Tensor, nn

from distill_tune.config.sections import TeacherConfig
from distill_tune.distillation.features.anatomy import anatomy_of
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher, TeacherContext
from distill_tune.teachers._huggingface import ImageClassifier

transformers = pytest.importorskip("transformers", reason="pip install transformers")
IMAGES = DataSpec(("a", "b", "c"), (3, 16, 16), (100.0, 90.0, 80.0), (50.0, 60.0, 70.0), "data", 10)
GREY = replace(IMAGES, input_shape=(1, 16, 16), mean=(100.0,), std=(50.0,))
ROWS = DataSpec(("a", "b", "c"), (5,), (), (), "data", 10)
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.2, 0.1]


def unused(*_: Any) -> Any:
    raise AssertionError("this teacher trains nothing")


def load(
    path: Path | str, data_spec: DataSpec = IMAGES, said: list[str] | None = None, **options: Any
) -> LoadedTeacher:
    """After what `prepare` does."""
    config = TeacherConfig(source="huggingface", path=str(path), huggingface=options)  # type: ignore[call-arg]
    source = config.chosen("source")
    assert source.identity(config, data_spec) == source.identity(config, data_spec)
    say = (lambda line: None) if said is None else said.append
    loaded: LoadedTeacher = source.load(config, data_spec, TeacherContext(Path(), unused, say))
    return loaded


def vit_config(**changes: Any) -> Any:
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": 2}
    settings = {"image_size": 16, "patch_size": 4, "id2label": {0: "a", 1: "b", 2: "c"}, **sizes, **changes}
    return transformers.ViTConfig(**settings)


def vit(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(0)
    return written(transformers.ViTForImageClassification(vit_config(**changes)), folder)


def resnet(folder: Path, **changes: Any) -> Any:
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic", "num_labels": 3}
    return written(transformers.ResNetForImageClassification(transformers.ResNetConfig(**sizes, **changes)), folder)


def written(model: Any, folder: Path) -> Any:
    """In eval mode, with weights far from those that it began with."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model.eval()


def write_preprocessing(folder: Path, **settings: Any) -> None:
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def pixels(*shape: int) -> Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def like(channels: int, numbers: list[float]) -> Tensor:
    return torch.tensor(numbers).view(channels, 1, 1)


@pytest.mark.parametrize("make", [vit, resnet])
def test_its_logits_are_transformers_own_on_inputs_normalised_by_the_data(tmp_path: Path, make: Any) -> None:
    model, images = make(tmp_path / "m"), pixels(4, 3, 16, 16)
    loaded = load(tmp_path / "m")
    expected = model((images - like(3, [100, 90, 80])) / like(3, [50, 60, 70])).logits
    torch.testing.assert_close(loaded.module(images), expected, rtol=1e-4, atol=1e-5)
    assert loaded.parameters == sum(p.numel() for p in model.parameters())
    travelled = pickle.loads(pickle.dumps(loaded.module))
    assert torch.equal(travelled(images), loaded.module(images))


@pytest.mark.parametrize("data_spec", [IMAGES, GREY], ids=["coloured", "grey"])
def test_images_are_normalised_as_its_own_preprocessor_does_and_grey_ones_are_copied(
    tmp_path: Path, data_spec: DataSpec
) -> None:
    model, images = vit(tmp_path / "m"), pixels(4, *data_spec.input_shape)
    processor = transformers.ViTImageProcessor(do_resize=False, image_mean=MEAN, image_std=STD)
    processor.save_pretrained(tmp_path / "m")
    expected = model(**processor(list(images.expand(-1, 3, -1, -1)), return_tensors="pt")).logits
    torch.testing.assert_close(load(tmp_path / "m", data_spec).module(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("resample", "levels"), [(2, 1.0), (3, 1.25)], ids=["bilinear", "bicubic"])
def test_images_are_resized_as_its_own_preprocessor_does_but_for_rounding(
    tmp_path: Path, resample: int, levels: float
) -> None:
    """It rounds to whole levels (of 255) twice, in rows and then in columns; bicubic weights enlarge the first."""
    vit(tmp_path / "m", image_size=24)
    size = {"height": 24, "width": 24}
    processor = transformers.ViTImageProcessor(size=size, resample=resample, image_mean=MEAN, image_std=STD)
    processor.save_pretrained(tmp_path / "m")
    images = 64 + pixels(4, 3, 16, 16) // 2  # far from where bicubic values are cut off
    loaded, seen = load(tmp_path / "m"), list[Tensor]()
    loaded.module.network.model.register_forward_pre_hook(
        lambda model, args, given: seen.append(given["pixel_values"]), with_kwargs=True
    )
    loaded.module(images)
    expected = processor(list(images), return_tensors="pt")["pixel_values"]
    assert ((seen[0] - expected).abs() * like(3, STD)).max() <= levels / 255 + 1e-5


@pytest.mark.parametrize(
    ("says", "config_size", "size"),
    [
        (None, 24, (24, 24)),
        (None, 16, (16, 16)),
        ({"size": 24}, 24, (24, 24)),
        (
            {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 24, "width": 24}},
            24,
            (24, 24),
        ),
        ({"size": {"shortest_edge": 24}, "crop_size": 32}, 24, (24, 24)),
        ({"do_resize": False, "size": 32}, 24, (24, 24)),
    ],
)
def test_the_size_is_the_preprocessors_or_else_the_configurations(
    tmp_path: Path, says: dict[str, Any] | None, config_size: int, size: tuple[int, int]
) -> None:
    vit(tmp_path / "m", image_size=config_size)
    if says is not None:
        write_preprocessing(tmp_path / "m", image_mean=MEAN, image_std=STD, **says)
    said: list[str] = []
    assert load(tmp_path / "m", GREY, said).module.network.size == size
    turned = f"teacher: images of 1x16x16 are turned into the 3x{size[0]}x{size[1]} that it reads"
    assert said == [turned]


def test_a_network_of_any_size_gets_images_as_they_are(tmp_path: Path) -> None:
    resnet(tmp_path / "m")
    said: list[str] = []
    assert load(tmp_path / "m", said=said).module.network.size is None
    assert said == [
        "teacher: its labels (LABEL_0, LABEL_1, LABEL_2) stand for the data's classes (a, b, c), in this order"
    ]


def test_coloured_images_turn_grey_for_a_model_of_grey_ones(tmp_path: Path) -> None:
    model, images = vit(tmp_path / "m", num_channels=1), pixels(4, 3, 16, 16)
    write_preprocessing(tmp_path / "m", image_mean=[0.3], image_std=[0.2], do_resize=False)
    grey = (images / 255 * like(3, [0.299, 0.587, 0.114])).sum(1, keepdim=True)
    expected = model((grey - 0.3) / 0.2).logits
    torch.testing.assert_close(load(tmp_path / "m").module(images), expected, rtol=1e-4, atol=1e-5)


def test_mean_and_std_of_the_configuration_go_before_its_own(tmp_path: Path) -> None:
    model, images = vit(tmp_path / "m"), pixels(4, 1, 16, 16)
    write_preprocessing(tmp_path / "m", image_mean=[0.5], image_std=[0.5], rescale_offset=True)
    expected = model((images.expand(-1, 3, -1, -1) / 255 - like(3, MEAN)) / like(3, STD)).logits
    loaded = load(tmp_path / "m", GREY, mean=MEAN, std=STD)
    torch.testing.assert_close(loaded.module(images), expected, rtol=1e-4, atol=1e-5)


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
    network.put_in_order([2, 0, 1], (1, 2, 2))
    assert torch.equal(network(images), before[:, [2, 0, 1]])


@pytest.mark.parametrize("labels", [{"0": "a", "1": "b", "2": "c"}, {"0": "c", "1": "a", "2": "b"}])
def test_its_layers_are_known_by_name_and_its_logits_are_no_feature(tmp_path: Path, labels: dict[str, str]) -> None:
    resnet(tmp_path / "m")
    edit(tmp_path / "m" / "config.json", id2label=labels)
    anatomy = anatomy_of(load(tmp_path / "m").module, IMAGES.input_shape)
    assert anatomy.shapes["model.resnet.encoder.stages.1"] == (16, 2, 2)
    assert anatomy.last == "model.classifier.0"
    assert not {"model", "model.classifier", "model.classifier.1"} & set(anatomy.shapes)


def refused(folder: Path | str, data_spec: DataSpec = IMAGES, **options: Any) -> str:
    with pytest.raises(TeacherError) as caught:
        load(folder, data_spec, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder


def test_a_folder_that_is_missing_or_not_whole_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none").startswith(f"teacher.path: no folder '{tmp_path / 'none'}'; give one that save_")
    for name, message in (("config.json", "has no config.json; give"), ("model.safetensors", "no model.safetensors;")):
        vit(tmp_path / name)
        assert message in refused(without(tmp_path / name, name))
    vit(tmp_path / "torn")
    (tmp_path / "torn" / "config.json").write_text("{")
    assert "config.json in" in (message := refused(tmp_path / "torn"))
    assert "cannot be read (JSONDecodeError" in message
    vit(tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "makes no image classifier of" in refused(tmp_path / "cut")


class Malicious:
    """Unpickled with leave to run code, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_pickles_are_refused_and_run_nothing(tmp_path: Path) -> None:
    vit(tmp_path / "m")
    torch.save({"weight": Malicious(tmp_path / "made")}, tmp_path / "m" / "pytorch_model.bin")
    weights = tmp_path / "m" / "model.safetensors"
    named = {"weight_map": {"classifier.weight": "pytorch_model.bin"}}
    weights.unlink()
    assert "has no model.safetensors, but pytorch_model.bin, a pickle, which could run code; write" in refused(
        tmp_path / "m"
    )
    (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps(named))
    assert "names 'pytorch_model.bin', which is no safetensors file" in refused(tmp_path / "m")
    assert not (tmp_path / "made").exists()


def test_code_of_the_folder_does_not_run_whatever_trust_says(tmp_path: Path) -> None:
    vit(tmp_path / "m")
    (tmp_path / "m" / "own.py").write_text(f"import pathlib\npathlib.Path({str(tmp_path / 'made')!r}).touch()\n")
    edit(tmp_path / "m" / "config.json", model_type="own", auto_map={"AutoConfig": "own.Own"})
    config = TeacherConfig(source="huggingface", path=str(tmp_path / "m"), trust=True)
    with pytest.raises(TeacherError, match=r"^teacher\.path: transformers .* makes no image classifier of"):
        config.chosen("source").load(config, IMAGES, TeacherContext(tmp_path, unused, unused))
    assert not (tmp_path / "made").exists()


def test_weights_that_are_elsewhere_are_refused(tmp_path: Path) -> None:
    vit(tmp_path / "m")
    edit(tmp_path / "m" / "config.json", transformers_weights="adapter_model.bin")
    assert "an adapter's, or are said to be elsewhere" in refused(tmp_path / "m")
    vit(tmp_path / "a")
    (tmp_path / "a" / "adapter_config.json").write_text("{}")
    assert "an adapter's, or are said to be elsewhere" in refused(tmp_path / "a")


def test_a_model_without_a_head_is_refused(tmp_path: Path) -> None:
    written(transformers.ViTModel(vit_config()), tmp_path / "m")
    assert refused(tmp_path / "m") == (
        f"teacher.path: '{tmp_path / 'm'}' is a model without a classification head (ViTForImageClassification lacks "
        "classifier.bias, classifier.weight); train one on the data's classes and write the whole classifier with "
        "save_pretrained."
    )


@pytest.mark.parametrize("changes", [{"num_hidden_layers": 3}, {"hidden_size": 20}])
def test_weights_that_are_not_those_of_the_configuration_are_refused(tmp_path: Path, changes: dict[str, int]) -> None:
    vit(tmp_path / "m")
    edit(tmp_path / "m" / "config.json", **changes)
    assert "do not fit its config.json (ViTForImageClassification lacks " in refused(tmp_path / "m")


def test_a_model_of_texts_other_classes_tables_and_channels_are_refused(tmp_path: Path) -> None:
    vit(tmp_path / "m")
    assert refused(tmp_path / "m", ROWS).startswith("teacher.source: Hugging Face's image classifiers read images")
    five = replace(IMAGES, classes=tuple("abcde"))
    assert "knows 3 classes (a, b, c), but the data have 5 (a, b, c, d, e)" in refused(tmp_path / "m", five)
    assert refused(tmp_path / "m", five).endswith("train its head on the data's classes, with num_labels = 5.")
    two = replace(IMAGES, input_shape=(2, 16, 16), mean=(1.0, 1.0), std=(1.0, 1.0))
    assert "reads images of 3 channels, but the data have 2," in refused(tmp_path / "m", two)
    sizes = {"dim": 16, "hidden_dim": 16, "n_heads": 2, "n_layers": 1, "vocab_size": 20}
    texts = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**sizes))
    written(texts, tmp_path / "texts")
    assert "makes no image classifier of" in refused(tmp_path / "texts")


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({}, "has image_mean = None and image_std = None, but must have 3 numbers of each"),
        ({"image_mean": [0.5], "image_std": [0.5]}, "has image_mean = [0.5] and"),
        ({"image_mean": MEAN, "image_std": STD, "include_top": True}, "shifts or normalises images twice"),
        ({"image_mean": MEAN, "image_std": [0.1, 0.1, 0]}, "must be greater than 0, but are [0.1, 0.1, 0]"),
        ({"image_mean": MEAN, "image_std": STD, "size": 20}, "teacher.huggingface: the network cannot take inputs of"),
    ],
)
def test_a_preprocessing_that_is_not_understood_is_refused(tmp_path: Path, says: dict[str, Any], message: str) -> None:
    vit(tmp_path / "m")
    write_preprocessing(tmp_path / "m", **says)
    assert message in refused(tmp_path / "m")


def test_mean_and_std_that_do_not_fit_the_model_are_refused(tmp_path: Path) -> None:
    vit(tmp_path / "m")
    assert refused(tmp_path / "m", GREY, mean=[0.5], std=[0.5]).startswith(
        "teacher.huggingface.mean: mean and std belong together, 3 numbers each"
    )


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_another_file_is_another_teacher(tmp_path: Path, name: str) -> None:
    vit(tmp_path / "m")
    write_preprocessing(tmp_path / "m", image_mean=MEAN, image_std=STD)
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


def test_a_missing_or_old_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vit(tmp_path / "m")
    monkeypatch.setattr(sys.modules["transformers"], "__version__", "4.57.1")  # saving has imported it anew
    assert "needs transformers 5 or later, but 4.57.1 is installed; `pip install -U" in refused(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "transformers", None)
    message = refused(tmp_path / "m")
    assert message.startswith("teacher.source: 'huggingface' needs transformers (")
    assert message.endswith("`pip install transformers` installs it.")
