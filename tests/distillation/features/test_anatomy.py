"""The layers found in a network: which of them put out features, of which shapes, and which is the last."""

from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import IMAGE, ROW, Own, hooks_of, network
from small_trainings import Make, Ready
from torch import Tensor, nn

from distill_tune.distillation.cache.features import ANATOMY
from distill_tune.distillation.features.anatomy import Anatomy, anatomy_of
from distill_tune.distillation.preparation.feature_checks import anatomy_of_family
from distill_tune.errors import CacheError
from distill_tune.registry import STUDENTS
from distill_tune.students import build_student, from_callable


def test_a_convolutional_network_has_a_stage_a_size_of_map() -> None:
    found = anatomy_of(network("convnet", (1, 16, 16), width=4, depth=3), (1, 16, 16))
    assert [found.shapes[name] for name in found.maps] == [(4, 16, 16), (8, 8, 8), (16, 4, 4)]
    assert found.maps == ("2", "5", "8")  # after batch normalisation and ReLU
    assert found.last is not None
    assert found.shapes[found.last] == (16,)


def test_a_residual_network_has_its_last_blocks_for_stages() -> None:
    found = anatomy_of(network("resnet", width=4, depth=2, stages=2), IMAGE)
    assert found.maps == ("4", "6")
    assert [found.shapes[name] for name in found.maps] == [(4, 8, 8), (8, 4, 4)]


def test_a_perceptron_has_its_hidden_layers() -> None:
    found = anatomy_of(network("mlp", widths=[20, 30]), IMAGE)
    assert found.vectors == ("2", "4")  # after the activations
    assert [found.shapes[name] for name in found.vectors] == [(20,), (30,)]
    assert found.last == "4"
    assert not found.maps


def test_a_residual_network_for_rows_has_its_blocks() -> None:
    found = anatomy_of(build_student(STUDENTS.get("resnet")(width=5, depth=2), ROW, 4), ROW)
    assert found.vectors[:3] == ("1", "2", "3")
    assert found.last is not None
    assert found.shapes[found.last] == (5,)


def test_a_network_of_ones_own_is_looked_at_by_the_same_rules() -> None:
    found = anatomy_of(Own(), IMAGE)
    assert found.maps == ("stem", "stages.0", "stages.1", "tokens")  # the last has four places in one column
    assert found.shapes["tokens"] == (7, 4, 1)
    assert (found.last, found.shapes["input:classify"]) == ("input:classify", (7,))
    assert "unused" not in found.shapes
    assert "classify" not in found.shapes


TIMM: dict[str, tuple[str, dict[str, Any], list[tuple[int, ...]], set[str]]] = {
    "channels last within blocks": (
        "convnext_tiny",
        {"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)},
        [(8, 8, 8), (16, 4, 4), (24, 2, 2)],
        set(),
    ),
    "channels last between blocks": (
        "swin_tiny_patch4_window7_224",
        {"img_size": 32, "window_size": 4, "embed_dim": 12, "depths": (1, 1), "num_heads": (2, 2)},
        [(12, 8, 8), (24, 4, 4)],
        {"layers.0", "norm"},
    ),
    "tokens": (
        "vit_tiny_patch16_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "qk_norm": True},
        [(24, 4, 4), (24, 16, 1), (24, 17, 1)],
        set(),
    ),
    "channels that are joined": (
        "densenet121",
        {"growth_rate": 8, "block_config": (2, 2)},
        [(16, 16, 16), (16, 8, 8), (32, 4, 4)],
        set(),
    ),
    "parts of a map with its channels last": (
        "mambaout_femto",
        {"depths": (1, 1, 1), "dims": (12, 16, 24)},
        [(6, 16, 16), (12, 8, 8), (16, 4, 4), (24, 2, 2)],
        {"stages.0", "stages.1", "stages"},
    ),
    "attention between the places of maps": (
        "visformer_tiny",
        {"img_size": 32, "embed_dim": 24, "depth": (1, 1, 1), "num_heads": 2},
        [(16, 16, 16), (12, 4, 4), (24, 2, 2)],
        set(),
    ),
    "attention's weights from head to head": (
        "cait_xxs24_224",
        {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 2},
        [(24, 4, 4), (24, 16, 1), (24, 17, 1)],
        set(),
    ),
}


@pytest.mark.parametrize("case", TIMM)
def test_the_stages_of_other_peoples_networks_have_channels_where_these_keep_them(case: str) -> None:
    timm = pytest.importorskip("timm", reason="pip install timm")
    name, options, stages, channels_last = TIMM[case]
    found = anatomy_of(timm.create_model(name, num_classes=4, **options).eval(), (3, 32, 32))
    assert [found.shapes[layer] for layer in found.maps] == stages
    assert channels_last == set(found.maps) & set(found.channels_last)
    assert found.last is not None
    assert len(found.shapes[found.last]) == 1


class Mixing(nn.Module):
    """Mixes channels and then tokens, as MLP-Mixer does."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.channels, self.tokens = nn.Conv2d(1, 6, 2, 2), nn.Linear(6, 6), nn.Linear(16, 16)
        self.head = nn.Linear(6, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.channels(self.patches(inputs).flatten(2).mT)
        logits: Tensor = self.head((tokens + self.tokens(tokens.mT).mT).mean(1))
        return logits


def test_tokens_that_are_mixed_with_each_other_are_no_stage() -> None:
    found = anatomy_of(Mixing(), (1, 8, 8))
    assert [found.shapes[name] for name in found.maps] == [(6, 4, 4), (6, 16, 1)]


def curious(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Reads its own values, which do not exist on the meta device."""
    rates = torch.linspace(0, 1, 3).tolist()
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), 5), nn.Dropout(rates[1]), nn.Linear(5, classes))


def test_a_network_of_ones_own_that_the_meta_device_cannot_hold_is_looked_at_all_the_same(
    image_space: Make, ready: Ready
) -> None:
    _, preparation = ready(image_space())
    state = torch.get_rng_state()
    found = anatomy_of_family(from_callable(curious)(), preparation.dataset)
    assert found.shapes[found.last] == (5,)
    assert torch.equal(torch.get_rng_state(), state)


class Answering(nn.Module):
    """A network whose inner model returns a mapping, as those of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.hidden, self.model.classify = nn.Linear(16, 6), nn.Linear(6, 4)
        self.model.forward = lambda rows: {"logits": self.model.classify(self.model.hidden(rows))}

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.model(inputs.flatten(1)[:, :16])["logits"]
        return logits


def test_logits_in_a_mapping_are_no_feature() -> None:
    found = anatomy_of(Answering(), IMAGE)
    assert found.shapes == {"model.hidden": (6,)}
    assert found.last == "model.hidden"


class Scaled(nn.Module):
    """Changes its logits outside any module."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.head(inputs) / 2
        return logits


def sequence(*ending: nn.Module, hidden: int = 6) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 4), *ending)


@pytest.mark.parametrize(
    ("network", "last", "shape"),
    [
        (sequence(nn.LogSoftmax(1)), "2", (6,)),
        (sequence(nn.BatchNorm1d(4), nn.Hardtanh()), "2", (6,)),
        (Scaled(sequence()), "head.2", (6,)),
        (sequence(hidden=4), "2", (4,)),
        (nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), "0", (3, 6, 6)),
    ],
    ids=["softmax", "normalised and cut", "a scale", "as wide as classes", "a mean over places"],
)
def test_the_last_feature_is_what_the_head_sees_whatever_comes_behind_it(
    network: nn.Module, last: str, shape: tuple[int, ...]
) -> None:
    found = anatomy_of(network, IMAGE)
    assert found.last == last
    assert found.shapes[last] == shape
    assert list(found.shapes)[-1] == last


def test_looking_at_a_network_leaves_it_as_it_was() -> None:
    module = network("convnet").train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    anatomy_of(module, IMAGE)
    assert torch.equal(torch.rand(1), expected)
    assert module.training
    assert not hooks_of(module)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_an_anatomy_comes_back_from_its_file(tmp_path: Path) -> None:
    found = anatomy_of(network("convnet"), IMAGE)
    found.write(tmp_path / ANATOMY)
    assert Anatomy.read(tmp_path / ANATOMY) == found
    (tmp_path / ANATOMY).write_text("{}")
    with pytest.raises(CacheError, match=r"anatomy.json: is missing or damaged; start again\."):
        Anatomy.read(tmp_path / ANATOMY)
