"""The first blocks of a custom student: found by its structure, filled by the teacher's names."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import IMAGES, run_space
from safetensors.torch import save_file
from torch import Tensor, nn

from distill_tune.distillation.initialisation._named_blocks import entries_of_first, number_of_blocks
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError, InputError, TeacherError


class Encoder(nn.Module):
    """A token, an embedding, a nested list of blocks, a norm and a head, as in a vision transformer."""

    def __init__(self, depth: int, width: int = 8, classes: int = 10):
        super().__init__()
        self.token = nn.Parameter(torch.randn(width))
        self.body = nn.Module()
        self.body.embedding = nn.Linear(64, width)
        self.body.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = self.body.embedding(inputs.flatten(1)) + self.token
        for layer in self.body.layers:
            hidden = hidden + layer(hidden)
        logits: Tensor = self.head(self.norm(hidden))
        return logits


def student(input_shape: tuple[int, ...], classes: int, depth: int = 2, width: int = 8) -> nn.Module:
    return Encoder(depth, width, classes)


def timm_student(input_shape: tuple[int, ...], classes: int, model: str = "test_vit", depth: int = 2) -> nn.Module:
    timm = pytest.importorskip("timm", reason="pip install timm")
    if model == "test_vit":
        return timm.create_model(model, img_size=8, patch_size=4, in_chans=1, num_classes=classes, depth=depth)
    return timm.create_model(model, in_chans=1, num_classes=classes)


def hugging_face_student(input_shape: tuple[int, ...], classes: int, depth: int = 2) -> nn.Module:
    transformers = pytest.importorskip("transformers", reason="pip install transformers")
    sizes = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "num_hidden_layers": depth}
    config = transformers.ViTConfig(image_size=8, patch_size=4, num_channels=1, num_labels=classes, **sizes)

    class Logits(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = transformers.ViTForImageClassification(config)

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = self.model(inputs).logits
            return logits

    return Logits()


@pytest.mark.parametrize("blocks", [1, 2])
def test_the_first_blocks_and_what_stands_before_them_are_taken(blocks: int) -> None:
    taken = entries_of_first(Encoder(3), blocks)
    inside = [f"{i}.{name}" for i in range(blocks) for name in ("0.weight", "0.bias", "2.weight", "2.bias")]
    stem = ["token", "body.embedding.weight", "body.embedding.bias"]
    assert taken == [*stem, *(f"body.layers.{name}" for name in inside)]
    assert number_of_blocks(Encoder(3)) == 3


def test_the_last_layer_of_a_sequence_is_its_head() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 8), nn.Linear(8, 10))
    assert number_of_blocks(network) == 2
    assert entries_of_first(network, 2) == ["1.weight", "1.bias", "3.weight", "3.bias"]


def test_stages_are_blocks_and_what_lies_between_them_goes_with_the_next() -> None:
    network = nn.Module()
    network.stem = nn.Conv2d(1, 4, 3)
    network.layer1 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    network.between = nn.BatchNorm2d(4)
    network.layer2 = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3))
    network.fc = nn.Linear(4, 10)
    assert number_of_blocks(network) == 4
    names = entries_of_first(network, 3)
    assert {name.split(".")[0] for name in names} == {"stem", "layer1", "between", "layer2"}
    assert not any(name.startswith("layer2.1") for name in names)
    assert number_of_blocks(nn.Linear(3, 3)) == 0


def space_of(path: Path, factory: str, deep: dict[str, Any], shallow: dict[str, Any], layers: int = 2) -> Any:
    name = f"test_named_blocks:{factory}"
    arguments = {"input_shape": [1, 8, 8], "classes": 10, **deep}
    teacher = {"source": "torch", "path": str(path), "torch": {"factory": name, "arguments": arguments}}
    own = {"family": name, "init": "truncate", name: shallow, "truncate": {"layers": layers}}
    return run_space({**IMAGES, "teacher": {}, "student": {}}, teacher=teacher, student=own)


def saved(network: nn.Module, path: Path) -> nn.Module:
    """Save a network with random values throughout, batch statistics included."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.copy_(torch.rand_like(tensor.float()) + 0.5)
    save_file({name: tensor.contiguous().clone() for name, tensor in network.state_dict().items()}, path)
    return network


@pytest.mark.parametrize(
    ("factory", "deep", "shallow"),
    [
        ("student", {"depth": 4}, {"depth": 2}),
        ("timm_student", {"depth": 4}, {"depth": 2}),
        ("timm_student", {"model": "test_resnet"}, {"model": "test_resnet"}),
        ("timm_student", {"model": "test_efficientnet"}, {"model": "test_efficientnet"}),
        ("hugging_face_student", {"depth": 4}, {"depth": 2}),
    ],
    ids=str,
)
def test_a_student_of_ones_own_begins_with_the_teachers_first_blocks(
    tmp_path: Path, factory: str, deep: dict[str, Any], shallow: dict[str, Any]
) -> None:
    teacher = saved(globals()[factory]((1, 8, 8), 10, **deep), tmp_path / "w.safetensors")
    space = space_of(tmp_path / "w.safetensors", factory, deep, shallow)
    preparation = prepare(space, tmp_path / "cache", lambda line: None)
    materials = Materials.open(preparation.prepared, space.config)
    begun, plain = (built(space, materials, init) for init in (True, False))
    theirs, taken = teacher.state_dict(), entries_of_first(begun.network, 2)
    own = set(begun.network.state_dict()) - set(taken)
    assert taken
    assert own
    for name, tensor in begun.network.state_dict().items():
        expected = theirs[name] if name in taken else plain.network.state_dict()[name]
        assert torch.equal(tensor, expected), name
    assert all(parameter.requires_grad for parameter in begun.parameters())


def built(space: Any, materials: Materials, init: bool) -> Any:
    torch.manual_seed(3)
    network = materials.build_student(space.config)
    if init:
        space.config.student.chosen("init").begin(network, space.config, materials)
    return network


@pytest.mark.parametrize(
    ("shallow", "layers", "kind", "message"),
    [
        ({"depth": 2}, 3, ConfigError, r"^student\.truncate\.layers: must be at most 2, the blocks that"),
        (
            {"depth": 2, "width": 6},
            1,
            TeacherError,
            r"^student\.init: 'truncate' takes 'token' \[6\].* it as \[8\];",
        ),
        (
            {"depth": 5},
            5,
            TeacherError,
            r"takes 'body\.layers\.4\.0\.weight' \[8, 8\].* no such weight; build",
        ),
    ],
)
def test_a_student_that_the_teacher_does_not_begin_like_is_refused(
    tmp_path: Path, shallow: dict[str, Any], layers: int, kind: type[InputError], message: str
) -> None:
    saved(Encoder(4), tmp_path / "w.safetensors")
    space = space_of(tmp_path / "w.safetensors", "student", {"depth": 4}, shallow, layers)
    with pytest.raises(kind, match=message) as caught:
        prepare(space, tmp_path / "cache", lambda line: None)
    assert "\n" not in str(caught.value)


def test_a_family_that_is_trained_here_is_compared_before_it_is_trained(tmp_path: Path) -> None:
    name = "test_named_blocks:student"
    own = {"family": name, "init": "truncate", name: {"depth": 2}}
    for teacher, fits in (({"family": name, name: {"depth": 3}}, True), ({"family": "mlp"}, False)):
        section = {"source": "train", "train": {"epochs": 1, "precision": "float32"}, **teacher}
        space = run_space({**IMAGES, "teacher": {}, "student": {}}, teacher=section, student=own)
        if fits:
            prepare(space, tmp_path / "fits", lambda line: None)
            continue
        with pytest.raises(TeacherError, match=r"takes 'token' \[8\] of the teacher, which has no such weight"):
            prepare(space, tmp_path / "cache", lambda line: None)
        assert not list((tmp_path / "cache").glob("teacher-*"))
