"""Features by name: hooks, wrappers and compilers, layers that are found, the teacher's cache, and the loop."""

import io
from collections.abc import Callable, Iterator
from copy import deepcopy
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from distill_tune.arrays import read_arrays, write_arrays
from distill_tune.config import Config, Space
from distill_tune.distillation.cache.features import (
    ANATOMY,
    TeacherFeatures,
    feature_bytes,
    features_folder,
)
from distill_tune.distillation.features.anatomy import Anatomy, anatomy_of
from distill_tune.distillation.features.tap import Tap, bounded, bring_down, feature_of, run_tapped
from distill_tune.distillation.losses import FeatureLoss
from distill_tune.distillation.losses.attention import Attention
from distill_tune.distillation.losses.hint import Hint
from distill_tune.distillation.losses.pkt import Pkt
from distill_tune.distillation.losses.vid import Vid
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.feature_checks import anatomy_of_family, teacher_layers
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.feature_terms import WithFeatures, paired, with_features
from distill_tune.distillation.training.loop import Checkpoint, Epoch, Run, distill
from distill_tune.distillation.training.objective import Objective
from distill_tune.errors import CacheError, ConfigError, TeacherError, TrainingError
from distill_tune.registry import LOSSES, STUDENTS
from distill_tune.students import build_student, from_callable

Make = Callable[..., Space]
Ready = Callable[[Space], tuple[Config, Any]]
IMAGE, ROW = (1, 8, 8), (6,)
SHAPES = st.one_of(
    st.tuples(st.integers(1, 5000)), st.tuples(st.integers(1, 3000), st.integers(1, 300), st.integers(1, 300))
)


def network(family: str, input_shape: tuple[int, ...] = IMAGE, **options: Any) -> nn.Module:
    return build_student(STUDENTS.get(family)(**options), input_shape, 4, (1.0,), (2.0,))


def hooks_of(module: nn.Module) -> int:
    return sum(len(each._forward_hooks) for each in module.modules())


# Layers


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


class Own(nn.Module):
    """A user's network: names of its own, functions between layers, tokens, several outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(inplace=True))
        self.stages = nn.ModuleList([nn.Conv2d(3, 5, 3, 2, 1), nn.Conv2d(5, 7, 3, 2, 1)])
        self.tokens = nn.MultiheadAttention(7, 1, batch_first=True)
        self.unused = nn.Linear(2, 2)
        self.classify = nn.Linear(7, 4)

    def forward(self, inputs: Tensor) -> Tensor:
        maps = self.stem(inputs)
        for stage in self.stages:
            maps = torch.relu(stage(maps))
        rows = maps.flatten(2).mT
        rows, _ = self.tokens(rows, rows, rows)
        logits: Tensor = self.classify(rows.mean(1))
        return logits


def test_a_network_of_ones_own_is_looked_at_by_the_same_rules() -> None:
    found = anatomy_of(Own(), IMAGE)
    assert found.maps == ("stem", "stages.0", "stages.1", "tokens")  # of which the last has four places in one column
    assert found.shapes["tokens"] == (7, 4, 1)
    assert found.last == "tokens"
    assert "unused" not in found.shapes
    assert "classify" not in found.shapes


def curious(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    """Looks at its own numbers, which the meta device does not have."""
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
    """A network whose model answers with a mapping, as those of transformers do."""

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
    """Does something to its logits that is no module."""

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


# Which are compared


def pairs(loss: FeatureLoss, student: nn.Module, teacher: nn.Module) -> list[tuple[str, str]]:
    found = paired("it", loss, anatomy_of(student, IMAGE), anatomy_of(teacher, IMAGE))
    return list(zip(found.student, found.teacher, strict=True))


def test_layers_are_paired_from_the_end_by_what_a_loss_takes() -> None:
    small, large = network("convnet", depth=1), network("resnet", depth=1, stages=2)
    assert pairs(Vid(), small, large) == [("2", "4")]
    assert pairs(Attention(), large, large) == [("3", "3"), ("4", "4")]
    assert pairs(Hint(), large, small) == [("4", "2")]
    assert pairs(Pkt(), network("mlp"), large) == [("4", "6")]
    assert pairs(Hint(), network("mlp"), large) == [("4", "6")]  # vectors, where one has no maps
    assert pairs(Vid(), network("mlp", widths=[3, 3, 3]), network("mlp", widths=[5, 5])) == [("4", "2"), ("6", "4")]


def test_named_layers_are_taken_as_they_are_and_the_other_sides_found_to_match() -> None:
    small, large = network("convnet", depth=2), network("resnet", depth=1, stages=2)
    assert pairs(Hint(student_layers=["0", "1"], teacher_layers=["4", "0"]), small, large) == [("0", "4"), ("1", "0")]
    assert pairs(Vid(student_layers=["5"]), small, large) == [("5", "4")]
    assert pairs(Hint(teacher_layers=["3", "4"]), small, large) == [("2", "3"), ("5", "4")]


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (Hint(student_layers=["stage1"]), "loss.it.student_layers: the student has no feature 'stage1'. Known: "),
        (
            Hint(teacher_layers=["4.convolution"]),
            "loss.it.teacher_layers: the teacher has no feature '4.convolution'. Did you mean '4.convolutions'? Known",
        ),
        (Attention(), "loss: 'it' compares features, but the student has no feature map; choose another loss, or "),
        (
            Attention(student_layers=["2"]),
            "loss.it: needs two feature maps, but the student's '2' is a vector of 64 and the teacher's '4' is 32 x 4 "
            "x 4; name other layers, or choose another loss.",
        ),
        (Vid(student_layers=["2", "2", "2"], teacher_layers=[]), "loss.it.student_layers: 3 of the student and 2 of "),
    ],
)  # fmt: skip
def test_layers_that_cannot_be_compared_are_refused(loss: FeatureLoss, said: str) -> None:
    student = network("resnet", depth=1) if isinstance(loss, Vid) else network("mlp")
    with pytest.raises(ConfigError) as caught:
        pairs(loss, student, network("resnet", depth=1, stages=2))
    assert str(caught.value).startswith(said)


# Hooks


def test_a_tap_catches_what_a_layer_put_out_though_the_next_one_writes_over_it() -> None:
    module, inputs = network("convnet", depth=1).eval(), torch.randn(3, *IMAGE)
    normalised = module.network[1](module.network[0](module.normalise(inputs)))  # type: ignore[index, operator]
    _, (before, after) = Tap(module, ["1", "2"]).run(module, inputs)
    torch.testing.assert_close(before, normalised)
    torch.testing.assert_close(after, normalised.relu())
    assert (before < 0).any()


class InPlace(nn.Module):
    """Adds its short cut in place, as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(8, 8), nn.Linear(8, 4)

    def forward(self, rows: Tensor) -> Tensor:
        found = self.layer(rows)
        found += rows
        logits: Tensor = self.head(found)
        return logits


def test_a_tap_catches_what_a_layer_put_out_though_a_function_writes_over_it() -> None:
    module, rows = InPlace(), torch.randn(3, 8)
    logits, (caught,) = Tap(module, ["layer"]).run(module, rows)
    assert torch.equal(caught, module.layer(rows))
    assert torch.equal(logits, module(rows))


def test_a_tap_hears_nothing_but_what_runs_through_it_and_leaves_no_hook() -> None:
    module, inputs = network("mlp"), torch.randn(3, *IMAGE)
    tap = Tap(module, ["2"])
    logits, (feature,) = tap.run(module, inputs)
    module(torch.randn(5, *IMAGE))
    assert torch.equal(tap.run(module, inputs)[1][0], feature)
    assert torch.equal(logits, module(inputs))
    tap.close()
    assert not hooks_of(module)


def test_a_layer_that_is_not_called_is_an_error_and_no_loss_of_zero() -> None:
    with pytest.raises(TrainingError, match="layer 'unused' has put out no feature in this pass"):
        Tap(own := Own(), ["unused"]).run(own, torch.randn(2, *IMAGE))


@pytest.mark.parametrize(
    ("output", "shape"),
    [
        (torch.zeros(2, 3), (2, 3)),
        (torch.zeros(2, 3, 4, 5), (2, 3, 4, 5)),
        (torch.zeros(2, 7, 3), (2, 3, 7, 1)),
        ((torch.zeros(2, 3), None), (2, 3)),
        ({"hidden": torch.zeros(2, 3)}, (2, 3)),
        (torch.zeros(2), None),
        (torch.zeros(2, 3, dtype=torch.int64), None),
        (torch.zeros(1, 2, 3, 4, 5), None),
        ([], None),
        (3, None),
    ],
)  # fmt: skip
def test_what_a_module_puts_out_is_a_vector_a_map_or_no_feature(output: Any, shape: tuple[int, ...] | None) -> None:
    feature = feature_of(output)
    assert (None if feature is None else tuple(feature.shape)) == shape


def taught(student: nn.Module, teacher: nn.Module, **losses: FeatureLoss) -> WithFeatures:
    from distill_tune.distillation.training.feature_terms import FeatureTerm

    ours, theirs = anatomy_of(student, IMAGE), anatomy_of(teacher, IMAGE)
    torch.manual_seed(0)
    return WithFeatures(student, {n: FeatureTerm(loss, paired(n, loss, ours, theirs)) for n, loss in losses.items()})


@pytest.mark.parametrize("name", [name for name in LOSSES.names if not LOSSES.get(name).names_classes])
def test_a_loss_on_features_teaches_all_but_the_last_layer(name: str) -> None:
    options = {"on": "features"} if "on" in LOSSES.get(name).model_fields else {}
    teacher, inputs = network("resnet", depth=1), torch.randn(4, *IMAGE)
    with_terms = taught(student := network("convnet", depth=2), teacher, **{name: LOSSES.get(name)(**options)})
    features = run_tapped(Tap(teacher, with_terms.teacher_layers), teacher, inputs)[1]
    with_terms(inputs, features)[1][name].backward()
    untouched = [name for name, parameter in student.named_parameters() if parameter.grad is None]
    assert untouched == [name for name, _ in student.named_parameters()][-2:]


@pytest.mark.parametrize("of_ones_own", [False, True], ids=["whole", "student compiled by its user"])
def test_features_are_the_same_behind_a_compiler(of_ones_own: bool) -> None:
    """Traced, without a backend that needs a compiler of C."""
    teacher, inputs = network("resnet", depth=1), torch.randn(4, *IMAGE)
    plain = taught(student := network("convnet", depth=2, norm="none"), teacher, hint=Hint(), vid=Vid())
    features = run_tapped(Tap(teacher, plain.teacher_layers), teacher, inputs)[1]
    expected_logits, expected = plain(inputs, features)
    (expected_logits.sum() + sum(expected.values())).backward()
    gradients = [parameter.grad for parameter in student.parameters()]
    plain.close()
    student.zero_grad()
    if of_ones_own:
        student.network = torch.compile(student.network, backend="eager")  # type: ignore[assignment, arg-type]
        compiled: Any = taught(student, teacher, hint=Hint(), vid=Vid())
    else:
        compiled = torch.compile(taught(student, teacher, hint=Hint(), vid=Vid()), backend="eager")
    for _ in range(2):
        logits, values = compiled(inputs, features)
        torch.testing.assert_close(logits, expected_logits)
        torch.testing.assert_close(values, expected)
        (logits.sum() + sum(values.values())).backward()
        torch.testing.assert_close([parameter.grad for parameter in student.parameters()], gradients)
        student.zero_grad()


def test_the_terms_are_computed_in_float32_whatever_the_precision() -> None:
    teacher, inputs = network("mlp"), torch.randn(4, *IMAGE)
    whole = taught(network("mlp"), teacher, hint=Hint())
    features = run_tapped(Tap(teacher, whole.teacher_layers), teacher, inputs)[1]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits, values = whole(inputs, features)
    assert logits.dtype == torch.bfloat16
    assert values["hint"].dtype == torch.float32


# The teacher's cache


@given(SHAPES)
def test_a_large_map_is_brought_down_and_nothing_else(shape: tuple[int, ...]) -> None:
    found = bounded(shape)
    assert found[0] == shape[0]
    assert bounded(found) == found
    if len(shape) == 1:
        assert found == shape
    else:
        places = found[1] * found[2]
        assert places <= 64
        assert places <= 4 or places * found[0] <= 8192
        assert all(small <= large for small, large in zip(found, shape, strict=True))


def test_a_map_is_brought_down_by_the_mean_over_its_places() -> None:
    maps = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(bring_down(maps), maps.view(2, 3, 8, 2, 8, 2).mean((3, 5)))


@pytest.fixture
def cached(image_space: Make, ready: Ready) -> tuple[Config, Any, list[str]]:
    """A run that compares features in three views."""
    space = image_space(
        loss={"kind": "attention", "also": {"hint": 1.0, "pkt": 0.1}},
        teacher={"views": 3},
        augmentation={"shift": 1},
    )
    config, preparation = ready(space)
    assert preparation.teacher.module is not None
    layers = teacher_layers(space, preparation.dataset, anatomy_of(preparation.teacher.module, IMAGE))
    return config, preparation, layers


def test_cached_features_are_the_teachers_to_half_precision(cached: tuple[Config, Any, list[str]]) -> None:
    config, preparation, layers = cached
    materials = Materials.open(preparation.prepared, config)
    features = TeacherFeatures(preparation.prepared.teacher_folder, config, layers)
    index, teacher = torch.tensor([5, 0, 700]), preparation.teacher.module
    tap = Tap(teacher, layers)
    for view in range(3):
        _, live = run_tapped(tap, teacher, materials.views.take(index, view).inputs)
        for one, other in zip(features.at(view, index), live, strict=True):
            assert one.dtype == torch.float32
            torch.testing.assert_close(one, other, rtol=2**-11, atol=1e-6)
    tap.close()
    assert not hooks_of(teacher)


def test_the_bytes_of_the_cache_are_known_before_it_is_made(cached: tuple[Config, Any, list[str]]) -> None:
    config, preparation, layers = cached
    folder = preparation.prepared.teacher_folder
    known = feature_bytes(Anatomy.read(folder / ANATOMY), layers, preparation.dataset.num_rows["train"], 3)
    files = [path for layer in layers for path in features_folder(folder, config, layer).glob("*.arrow")]
    assert len(files) == 3 * len(layers)
    whole = sum(path.stat().st_size for path in files)
    assert known < whole < known + 5000 * len(files)  # what Arrow writes around them


def test_features_that_the_disk_has_no_room_for_are_refused_before_any_is_made(
    image_space: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = image_space(loss={"kind": "hint"})
    told: list[str] = []
    prepare(space, tmp_path / "first", told.append)
    assert "the teacher's features (5): 1,150 samples, 589 kB" in told  # 16 x 4 x 4 numbers of two bytes, in one view
    monkeypatch.setattr("distill_tune.room.free_bytes", lambda folder: 400_000)
    with pytest.raises(ConfigError, match=r"589 kB are needed for the teacher's features \(5\), but .* teacher.mode"):
        prepare(space, tmp_path / "second", told.append)
    assert not list((tmp_path / "second").rglob("features-*"))


def test_each_layer_and_each_augmentation_has_a_folder_of_its_own(
    cached: tuple[Config, Any, list[str]], image_space: Make
) -> None:
    config, preparation, layers = cached
    folder = preparation.prepared.teacher_folder
    others = [config, image_space(teacher={"views": 3}).config, image_space(teacher={"views": 2}).config]
    others.append(image_space(teacher={"views": 2}, augmentation={"shift": 2}).config)
    folders = {features_folder(folder, each, layer) for each in others for layer in layers}
    assert len(folders) == 3 * len(layers)  # without augmentation all views are one
    alike = image_space(loss={"kind": "hint"}, teacher={"views": 3}, augmentation={"shift": 1}).config
    assert features_folder(folder, alike, layers[0]) == features_folder(folder, config, layers[0]), "whatever the loss"


def test_damaged_features_are_made_again_and_whole_ones_kept(image_space: Make, tmp_path: Path) -> None:
    space = image_space(loss={"kind": "hint"})
    folder = prepare(space, tmp_path, lambda line: None).prepared.teacher_folder
    assert folder is not None
    (features,) = folder.glob("features-*")
    told: list[str] = []
    prepare(space, tmp_path, told.append)
    assert not any("features of" in line for line in told)
    damaged = features / "view_00000.arrow"
    before, whole = {name: array.copy() for name, array in read_arrays(damaged).items()}, damaged.read_bytes()
    damaged.write_bytes(whole[:-100] + bytes(100))
    prepare(space, tmp_path, told.append)
    assert any("features of" in line for line in told)
    for name, array in read_arrays(damaged).items():  # where memory lies changes the order of a sum, and its last bit
        np.testing.assert_allclose(array, before[name], rtol=2**-9, atol=2**-9)


def test_a_number_too_large_for_half_precision_is_kept_in_full(tmp_path: Path) -> None:
    from distill_tune.distillation.cache.features import _stored

    assert _stored(torch.tensor([[1.0, 65504.0]])).dtype == np.float16
    assert _stored(torch.tensor([[1.0, 70000.0]])).tolist() == [[1.0, 70000.0]]
    with pytest.raises(TeacherError, match="one of its features is not a finite number"):
        _stored(torch.tensor([[1.0, float("nan")]]))
    write_arrays(tmp_path / "half.arrow", {"features": np.float16([[1.5, 2.0]])})
    assert read_arrays(tmp_path / "half.arrow")["features"].dtype == np.float16


# The loop


def epochs_of(run: tuple[Config, Any], resume: Checkpoint | None = None) -> Iterator[Epoch]:
    config, preparation = run
    return distill(config, Materials.open(preparation.prepared, config), 0, resume=resume)


def report_of(epoch: Epoch) -> dict[str, float]:
    return {name: value for name, value in epoch.report.items() if "time/" not in name and name != "samples_per_s"}


ALL = {"hint": 0.5, "vid": 0.5, "crd": 0.5, "reviewkd": 0.5, "pkt": 0.5, "rkd": 0.5, "sp": 0.5, "dkd": 0.5}
EVERYTHING: dict[str, Any] = {
    "kind": "attention",
    "also": ALL,
    "sp": {"on": "features"},
    "rkd": {"on": "features"},
    "soft_weight": 0.5,
}


def test_a_live_teacher_gives_the_losses_on_features_of_a_cached_one(image_space: Make, ready: Ready) -> None:
    """To the precision of the cache, in the first epoch; later, rounding has moved the weights."""
    keys: dict[str, Any] = {"loss": EVERYTHING, "augmentation": {"mixup": 0.5}, "search": {"max_epochs": 1}}
    (cached,) = epochs_of(ready(image_space(teacher={"views": 1}, **keys)))
    live_run = ready(image_space(teacher={"mode": "live"}, **keys))
    (live,) = epochs_of(live_run)
    terms = {name: value for name, value in report_of(cached).items() if name.startswith("train/") and "_loss" in name}
    assert terms.keys() == {f"train/{name}_loss" for name in ("hard", "soft", *ALL)}
    assert {name: live.report[name] for name in terms} == pytest.approx(terms, rel=2e-3)
    assert not hooks_of(live_run[1].prepared.live_teacher)


def test_the_total_loss_is_the_weighed_sum_of_all_terms(image_space: Make, ready: Ready) -> None:
    for epoch in epochs_of(ready(image_space(loss=EVERYTHING))):
        report = epoch.report
        weighed = 0.5 * report["train/hard_loss"] + 0.5 * report["train/soft_loss"]
        weighed += sum(weight * report[f"train/{name}_loss"] for name, weight in ALL.items())
        assert report["train/loss"] == pytest.approx(weighed, rel=1e-5)


def test_a_term_without_weight_changes_nothing(image_space: Make, ready: Ready) -> None:
    plain, weightless = (
        [report_of(epoch) for epoch in epochs_of(ready(image_space(loss=loss)))]
        for loss in ({"kind": "dkd"}, {"kind": "dkd", "also": {"hint": 0.0, "dkd": 3.0}})
    )
    assert plain == weightless


def test_a_run_resumed_with_its_projectors_ends_as_the_undisturbed_one(image_space: Make, ready: Ready) -> None:
    run = ready(image_space(loss=EVERYTHING))
    whole = []
    for epoch in epochs_of(run):
        file = io.BytesIO()
        torch.save(epoch.checkpoint(), file)
        file.seek(0)
        whole.append((report_of(epoch), torch.load(file, weights_only=True)))
    (first, second) = whole
    (resumed,) = epochs_of(run, resume=first[1])
    assert report_of(resumed) == second[0]
    for name in ("student", "projector"):
        again = resumed.checkpoint()[name]
        assert again.keys() == second[1][name].keys()
        assert all(torch.equal(again[key], second[1][name][key]) for key in again)


def test_a_run_resumed_with_its_memory_ends_as_the_undisturbed_one_and_another_memory_ends_elsewhere(
    image_space: Make, ready: Ready
) -> None:
    run = ready(image_space(loss={"kind": "crd", "crd": {"negatives": 50}}, search={"max_epochs": 3}))
    whole = []
    for epoch in epochs_of(run):
        file = io.BytesIO()
        torch.save(epoch.checkpoint(), file)
        whole.append((report_of(epoch), file.getvalue()))

    def kept(number: int) -> Checkpoint:
        found: Checkpoint = torch.load(io.BytesIO(whole[number][1]), weights_only=True)
        return found

    def ends(checkpoint: Checkpoint) -> tuple[dict[str, float], Checkpoint]:
        *_, last = epochs_of(run, resume=checkpoint)
        return report_of(last), last.checkpoint()

    banks = {name for name in kept(2)["projector"] if ".memory." in name}
    assert len(banks) == 3
    for number in (0, 1):
        report, state = ends(kept(number))
        assert report == whole[2][0]
        for part in ("student", "projector"):
            expected = kept(2)[part]
            assert all(torch.equal(state[part][name], expected[name]) for name in expected)
        for name in banks:
            other = kept(number)
            other["projector"][name] = kept(2)["projector"][name].flip(-1)
            assert ends(other)[0] != whole[2][0]


def test_a_memory_is_in_a_trainings_checkpoint_and_in_neither_student_nor_optimizer(
    image_space: Make, ready: Ready
) -> None:
    runs = []
    for negatives in (0, 50):
        config, preparation = ready(image_space(loss={"kind": "crd", "crd": {"negatives": negatives}}))
        runs.append(Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu")))
    without, having = (run.checkpoint() for run in runs)
    samples = len(runs[1].materials.labels)
    only = {name: tuple(having["projector"][name].shape) for name in having["projector"].keys() - without["projector"]}
    assert only == {
        "0.memory.students": (1, samples, 128),
        "0.memory.teachers": (1, samples, 128),
        "0.memory.log_means": (1, 2),
    }
    for part in ("student", "projector"):
        assert all(torch.equal(having[part][name], kept) for name, kept in without[part].items())
    assert having["student"].keys() == without["student"].keys()
    sizes = [[[p.shape for p in group["params"]] for group in run.optimizer.param_groups] for run in runs]
    assert sizes[0] == sizes[1]


def test_mixed_inputs_and_a_live_teacher_are_remembered_too(image_space: Make, ready: Ready) -> None:
    loss = {"kind": "crd", "crd": {"negatives": 50}}
    space = image_space(loss=loss, teacher={"mode": "live"}, augmentation={"mixup": 0.5}, search={"max_epochs": 1})
    (epoch,) = epochs_of(ready(space))
    banks = epoch.checkpoint()["projector"]
    for name in ("students", "teachers"):
        lengths = banks[f"0.memory.{name}"].norm(dim=-1)
        torch.testing.assert_close(lengths, torch.ones_like(lengths))


def test_a_projector_is_trained_and_never_part_of_the_student(image_space: Make, ready: Ready) -> None:
    run = ready(image_space(loss={"kind": "hint"}, optim={"weight_decay": 0.1}))
    plain = ready(image_space(loss={"kind": "soft_targets"}))
    first, last = (deepcopy(epoch.checkpoint()) for epoch in epochs_of(run))
    without, _ = (epoch.checkpoint() for epoch in epochs_of(plain))
    assert last["student"].keys() == without["student"].keys()
    assert "projector" not in without
    assert last["projector"]
    assert not any(torch.equal(kept, last["projector"][name]) for name, kept in first["projector"].items())


def test_a_projector_has_groups_of_its_own_in_the_optimizer_with_the_students_settings(
    image_space: Make, ready: Ready
) -> None:
    config, preparation = ready(image_space(loss={"kind": "hint"}, optim={"weight_decay": 0.1}))
    run = Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))
    assert run.taught is not None
    run._step(3)
    *students, matrices, biases = run.optimizer.param_groups
    assert {p for group in students for p in group["params"]} == set(run.student.parameters())
    assert {*matrices["params"], *biases["params"]} == set(run.taught.terms.parameters())
    assert [each["weight_decay"] for each in (matrices, biases)] == [each["weight_decay"] for each in students]
    assert len({group["lr"] for group in run.optimizer.param_groups}) == 1


def test_what_compares_no_features_has_no_hooks_and_what_did_leaves_none(image_space: Make, ready: Ready) -> None:
    def hooks(loss: dict[str, Any]) -> tuple[int, int]:
        epochs = epochs_of(ready(image_space(loss=loss)))
        student = next(epochs).student
        while_training = hooks_of(student)
        epochs.close()  # type: ignore[attr-defined]
        return while_training, hooks_of(student)

    assert hooks({"kind": "soft_targets", "also": {"dkd": 1.0, "hint": 0.0, "sp": 1.0}}) == (0, 0)
    assert hooks({"kind": "hint"}) == (1, 0)


def test_a_clipped_gradient_is_that_of_student_and_projector_together(image_space: Make, ready: Ready) -> None:
    config, preparation = ready(image_space(loss={"kind": "hint"}, optim={"gradient_clip": 0.01}))
    run = Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))
    run._learn(next(run.batches.epoch(1)), 0)
    gradients = [p.grad for p in run.trained.parameters() if p.grad is not None]
    assert len(gradients) == len(list(run.student.parameters())) + 2
    assert nn.utils.get_total_norm(gradients) == pytest.approx(0.01, rel=1e-3)


def test_a_students_weights_begin_the_same_with_and_without_a_projector(image_space: Make, ready: Ready) -> None:
    states = []
    for loss in ({"kind": "hint"}, {"kind": "soft_targets"}):
        config, preparation = ready(image_space(loss=loss))
        run = Run(config, Materials.open(preparation.prepared, config), 0, torch.device("cpu"))
        states.append(run.student.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_search_labels_the_layers_of_all_of_its_students(image_space: Make, ready: Ready) -> None:
    """Students of one stage and of two, and a perceptron, each paired from the end."""
    space = image_space(
        student={"family": ["convnet", "mlp"], "convnet": {"depth": {"int": [1, 2]}}},
        loss={"kind": ["vid", "hint"], "also": {"pkt": {"choice": [0.0, 1.0]}}},
    )
    _, preparation = ready(space)
    for values in (
        {"student.family": "convnet", "student.convnet.depth": 1, "loss.kind": "vid", "loss.also.pkt": 1.0},
        {"student.family": "convnet", "student.convnet.depth": 2, "loss.kind": "hint", "loss.also.pkt": 0.0},
        {"student.family": "convnet", "student.convnet.depth": 2, "loss.kind": "vid", "loss.also.pkt": 1.0},
        {"student.family": "mlp", "loss.kind": "vid", "loss.also.pkt": 1.0},
    ):
        config = space.at(values)
        materials = Materials.open(preparation.prepared, config)
        student = materials.build_student(config)
        whole = with_features(Objective(config).on_features, student, materials)
        assert whole is not None
        TeacherFeatures(preparation.prepared.teacher_folder, config, whole.teacher_layers)
