"""A Hugging Face teacher that is incomplete, could run code or does not fit the data is refused in one line."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_models import IMAGES, edit, refused, transformers, vit, vit_config, without, written
from loaded_teachers import ROWS_OF_FIVE, Malicious, unused

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import TeacherContext


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
    assert refused(tmp_path / "m", ROWS_OF_FIVE).startswith(
        "teacher.source: Hugging Face's image classifiers read images"
    )
    five = replace(IMAGES, classes=tuple("abcde"))
    assert "knows 3 classes (a, b, c), but the data have 5 (a, b, c, d, e)" in refused(tmp_path / "m", five)
    assert refused(tmp_path / "m", five).endswith("train its head on the data's classes, with num_labels = 5.")
    two = replace(IMAGES, input_shape=(2, 16, 16), mean=(1.0, 1.0), std=(1.0, 1.0))
    assert "reads images of 3 channels, but the data have 2," in refused(tmp_path / "m", two)
    sizes = {"dim": 16, "hidden_dim": 16, "n_heads": 2, "n_layers": 1, "vocab_size": 20}
    texts = transformers.DistilBertForSequenceClassification(transformers.DistilBertConfig(**sizes))
    written(texts, tmp_path / "texts")
    assert "makes no image classifier of" in refused(tmp_path / "texts")


def test_a_missing_or_old_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vit(tmp_path / "m")
    monkeypatch.setattr(sys.modules["transformers"], "__version__", "4.57.1")  # saving has reimported it
    assert "needs transformers 5 or later, but 4.57.1 is installed; `pip install -U" in refused(tmp_path / "m")
    monkeypatch.setitem(sys.modules, "transformers", None)
    message = refused(tmp_path / "m")
    assert message.startswith("teacher.source: 'huggingface' needs transformers (")
    assert message.endswith("`pip install transformers` installs it.")
