"""Saved transformers models, and teachers that are loaded from them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from loaded_teachers import loaded_from
from torch import Tensor

from distill_tune.config.sections import TeacherConfig
from distill_tune.errors import TeacherError
from distill_tune.teachers import DataSpec, LoadedTeacher

transformers = pytest.importorskip("transformers", reason="pip install transformers")
IMAGES = DataSpec(("a", "b", "c"), (3, 16, 16), (100.0, 90.0, 80.0), (50.0, 60.0, 70.0), "data", 10)
GREY = replace(IMAGES, input_shape=(1, 16, 16), mean=(100.0,), std=(50.0,))
MEAN, STD = [0.5, 0.4, 0.3], [0.2, 0.2, 0.1]


def load(
    path: Path | str, data_spec: DataSpec = IMAGES, said: list[str] | None = None, **options: Any
) -> LoadedTeacher:
    """Load the way `prepare` does."""
    config = TeacherConfig(source="huggingface", path=str(path), huggingface=options)  # type: ignore[call-arg]
    return loaded_from(config, data_spec, Path(), (lambda line: None) if said is None else said.append)


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
    """Save and return the model, in eval mode, with weights far from the initial ones."""
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


def refused(folder: Path | str, data_spec: DataSpec = IMAGES, **options: Any) -> str:
    with pytest.raises(TeacherError) as caught:
        load(folder, data_spec, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder
