"""What `inherit` makes of a student: the teacher's largest units, chosen by a rule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beginnings import OWN, SAY_WIRING, STARTS, begun, space_of
from networks import vary_norms
from runs import IMAGES, run_space
from small_trainings import Ready
from torch import Tensor, nn

from distill_tune.distillation.cache.weights import network_of
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.initialisation._calibration import (
    _batch_statistics,
    _moments,
    _take_statistics,
    match_teacher,
)
from distill_tune.distillation.initialisation._carrying import Carried, _fitted, carry
from distill_tune.distillation.initialisation._counterparts import counterparts, evenly_spaced
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.training.validation import evaluate
from distill_tune.registry import STUDENTS
from distill_tune.students import CLASSES, HEAD, INPUT, Wiring, build_student

WHOLE = [
    ("mlp", {"widths": [9, 5, 7]}, (6,)),
    ("mlp", {"widths": [5]}, (1, 4, 4)),
    ("convnet", {"width": 4, "depth": 3}, (1, 8, 8)),
    ("convnet", {"width": 4, "depth": 3, "separable": True, "kernel": 5, "norm": "none"}, (3, 8, 8)),
    ("convnet", {"width": 4, "depth": 2, "separable": True}, (1, 8, 8)),
    ("resnet", {"width": 4, "depth": 2, "stages": 3}, (1, 16, 16)),
    ("resnet", {"width": 8, "depth": 2}, (6,)),
    (OWN, {"width": 8, "narrow": 4, "depth": 2}, (6,)),
]
every_whole = pytest.mark.parametrize(("family", "options", "shape"), WHOLE, ids=str)


def random_network(family: str, options: dict[str, Any], shape: tuple[int, ...], seed: int) -> nn.Module:
    """A network with batch statistics, scales and shifts unlike the defaults."""
    torch.manual_seed(seed)
    mean = [0.5] * shape[0] if len(shape) == 3 else []
    student = build_student(STUDENTS.get(family)(**options), shape, 4, mean, [2.0] * len(mean)).eval()
    vary_norms(student)
    return student


def wiring_of(student: nn.Module, family: str, options: dict[str, Any]) -> Wiring:
    wiring: Wiring = STUDENTS.get(family)(**options).wiring(network_of(student))
    return wiring


def carried(
    teacher: nn.Module, student: nn.Module, family: str, their_options: dict[str, Any], our_options: dict[str, Any]
) -> Carried:
    theirs, ours = wiring_of(teacher, family, their_options), wiring_of(student, family, our_options)
    return carry(theirs, ours, may_be_alike=True)


@pytest.mark.parametrize("family", SAY_WIRING)
def test_every_family_that_says_its_wiring_has_its_cases_here(family: str) -> None:
    for name, families in (("STARTS of beginnings.py", STARTS), ("WHOLE", {case[0] for case in WHOLE})):
        assert family in families, f"{Path(__file__).name}: add options of the student family {family!r} to {name}"


@every_whole
def test_a_student_built_like_its_teacher_begins_as_its_teacher(
    family: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    teacher, student = (random_network(family, options, shape, seed) for seed in (0, 1))
    inputs = torch.randn(20, *shape)
    with torch.no_grad():
        assert not torch.allclose(student(inputs), teacher(inputs), atol=1e-3)
        assert carried(teacher, student, family, options, options).is_whole
        torch.testing.assert_close(student(inputs), teacher(inputs), atol=1e-4, rtol=1e-4)


@every_whole
def test_units_that_do_nothing_are_what_a_narrower_student_leaves_behind(
    family: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """Enough units of each group of the teacher are dead, wherever they are, that the others fit the student."""
    wide = {**options, **doubled(options)}
    teacher = random_network(family, wide, shape, 0)
    kill_half(wiring_of(teacher, family, wide))
    student = random_network(family, options, shape, 1)
    inputs = torch.randn(20, *shape)
    with torch.no_grad():
        assert not carried(teacher, student, family, wide, options).is_whole
        torch.testing.assert_close(student(inputs), teacher(inputs), atol=1e-4, rtol=1e-4)


def doubled(options: dict[str, Any]) -> dict[str, Any]:
    if "widths" in options:
        return {"widths": [2 * width for width in options["widths"]]}
    return {name: 2 * options[name] for name in ("width", "narrow") if name in options}


@torch.no_grad()
def kill_half(wiring: Wiring) -> None:
    """Cut half of the units of each group off from inputs and outputs."""
    dead = {s: torch.randperm(n)[: n // 2] for s, n in wiring.sizes.items() if s not in (INPUT, CLASSES)}
    for layer in wiring.layers:
        state = layer.module.state_dict()
        for name, tensor in state.items():
            if layer.outputs in dead and tensor.dim():
                tensor[dead[layer.outputs]] = 1.0 if name == "running_var" else 0.0
        if layer.inputs in dead:
            state["weight"][:, dead[layer.inputs]] = 0.0


def inherited(
    layers: list[tuple[np.ndarray, np.ndarray]], widths: list[int], inputs: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Narrower weights and biases of an mlp by the documented rule, for ReLU and equal depth."""
    columns, theirs, ours, made = np.arange(inputs.shape[1]), inputs, inputs, []
    for index, (weight, bias) in enumerate(layers):
        rows = np.arange(len(weight))
        if index < len(widths):
            size = np.sqrt((weight**2).sum(1) + (layers[index + 1][0] ** 2).sum(0))
            rows = np.argsort(-size, kind="stable")[: widths[index]]
        wanted, cut = theirs @ weight.T + bias, weight[np.ix_(rows, columns)]
        got = ours @ cut.T
        scale = np.sqrt(wanted[:, rows].var(0).mean() / got.var(0).mean())
        shift = wanted[:, rows].mean(0) - scale * got.mean(0)
        made.append((scale * cut, shift))
        theirs, ours, columns = np.maximum(wanted, 0), np.maximum(scale * got + shift, 0), rows
    return made


@pytest.mark.parametrize("widths", [[12, 10], [3, 20], [1, 1], [32, 23]], ids=str)
def test_inherited_rows_are_the_teachers_largest_up_to_scale_and_bias(widths: list[int], ready: Ready) -> None:
    run = ready(space_of("inherit", "mlp", {"widths": widths}))
    student, materials = begun(run)
    teacher = run[1].teacher.module.double()
    layers = [(m.weight.numpy().copy(), m.bias.numpy().copy()) for m in teacher.modules() if isinstance(m, nn.Linear)]
    run[1].teacher.module.float()
    inputs = materials.train_inputs.double().numpy()
    assert len(inputs) <= 512  # up to that number, all are used
    expected = inherited(layers, widths, inputs)
    found = [m for m in student.modules() if isinstance(m, nn.Linear)]
    for layer, (weight, bias) in zip(found, expected, strict=True):
        np.testing.assert_allclose(layer.weight.detach().numpy(), weight, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(layer.bias.detach().numpy(), bias, rtol=1e-3, atol=1e-3)


def test_units_beyond_the_teachers_begin_as_drawn(ready: Ready) -> None:
    student, _ = begun(ready(space_of("inherit", "mlp", {"widths": [40, 30]})))
    plain, _ = begun(ready(space_of("default", "mlp", {"widths": [40, 30]})))
    ours, drawn = (s.get_parameter("network.1.weight") for s in (student, plain))
    assert torch.equal(ours[32:], drawn[32:])
    assert not torch.isclose(ours[:32], drawn[:32]).any(1).all()


@pytest.mark.parametrize("family", ["convnet", "resnet"])
def test_batch_statistics_are_those_of_the_students_own_maps(family: str, ready: Ready) -> None:
    student, materials = begun(ready(space_of("inherit", family, {"width": 2, "depth": 2})))
    rows = torch.linspace(0, len(materials.train_inputs) - 1, 512).long()
    inputs = materials.train_inputs[rows]
    with torch.no_grad():
        torch.testing.assert_close(student.eval()(inputs), student.train()(inputs), atol=2e-2, rtol=2e-2)


class Matrix(nn.Module):
    """Like nn.Linear, but not an instance of it."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))

    def forward(self, rows: Tensor) -> Tensor:
        return rows @ self.weight.T


@pytest.mark.parametrize("kind", [nn.Linear, Matrix])
def test_a_layer_over_a_sequence_has_its_units_on_the_last_axis(kind: type[nn.Module]) -> None:
    layer, rows = kind(3, 5), torch.randn(7, 4, 3)
    wiring = Wiring(nn.Sequential(layer))
    wiring.add(HEAD, "main", "0", INPUT, CLASSES)
    (found,) = _moments(wiring.network, wiring.layers, rows, "student")
    made = layer(rows).flatten(0, 1)
    torch.testing.assert_close(found, torch.stack([made.mean(0), made.var(0, correction=0)]))


def test_batch_statistics_drop_nothing_out() -> None:
    class DropPath(nn.Module):
        """Like timm's, depends on whether it is in training mode."""

    kinds = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout, DropPath)
    student = nn.ModuleList([nn.BatchNorm1d(2), *(kind() for kind in kinds)])
    with _batch_statistics(student):
        assert [module.training for module in student] == [True] + [False] * len(kinds)
    assert all(module.training for module in student)


def test_statistics_of_volumes_are_taken_too() -> None:
    student, volumes = nn.Sequential(nn.BatchNorm3d(2)), torch.randn(5, 2, 3, 3, 3) + 4
    _take_statistics(student, volumes)
    torch.testing.assert_close(student.get_buffer("0.running_mean"), volumes.transpose(0, 1).flatten(1).mean(1))


def test_of_more_rows_than_a_float32_can_count_the_last_one_is_taken_and_none_beyond() -> None:
    inputs = torch.ones(1, 2).expand(2**24 + 4, 2)
    student = nn.Sequential(nn.BatchNorm1d(2))
    match_teacher(Carried([], is_whole=False), nn.Identity(), student, inputs)
    torch.testing.assert_close(student.get_buffer("0.running_mean"), torch.ones(2))


def test_networks_of_which_one_has_no_stages_share_stem_and_head() -> None:
    names = []
    for depth in (0, 2):
        options: dict[str, Any] = {"depth": depth}
        bare, deep = (wiring_of(random_network(OWN, each, (6,), 0), OWN, each) for each in (options, {"depth": 2}))
        names.append([our.name for our, _ in counterparts(bare, deep)])
        assert [our.name for our, _ in counterparts(deep, bare)] == names[-1]
    assert names[0] == ["stem", "head"]
    assert len(names[1]) == 8


@pytest.mark.parametrize(
    ("count", "of", "taken"),
    [(1, 3, [0]), (2, 3, [0, 2]), (3, 3, [0, 1, 2]), (2, 5, [0, 4]), (3, 5, [0, 2, 4]), (4, 2, [0, 0, 1, 1])],
)
def test_layers_of_a_deeper_teacher_are_taken_evenly_spaced(count: int, of: int, taken: list[int]) -> None:
    assert [evenly_spaced(index, count, of) for index in range(count)] == taken


@pytest.mark.parametrize("widths", [[8], [8, 8, 8, 8, 8]], ids=str)
def test_a_student_of_another_depth_takes_first_and_last_layer(widths: list[int], ready: Ready) -> None:
    run = ready(space_of("inherit", "mlp", {"widths": widths}))
    student, _ = begun(run)
    ours = [m.weight for m in student.modules() if isinstance(m, nn.Linear)]
    theirs = [m.weight for m in run[1].teacher.module.modules() if isinstance(m, nn.Linear)]
    for row in ours[0]:  # each is a row of the teacher's first layer, up to a scale
        assert float(torch.cosine_similarity(row.detach()[None], theirs[0]).max()) == pytest.approx(1, abs=1e-5)
    assert len(ours[-1]) == len(theirs[-1])


@pytest.mark.parametrize("family", ["mlp", "convnet", "resnet"])
def test_on_digits_a_student_that_inherits_knows_more_before_its_first_step(family: str, ready: Ready) -> None:
    options = {"mlp": [{"widths": [64, 32]}, {"widths": [16, 12]}]}.get(
        family, [{"width": 8, "depth": 2}, {"width": 5, "depth": 2}]
    )
    teacher = {"family": family, family: options[0], "train": {"epochs": 8}}
    known = {}
    for init in ("default", "inherit"):
        student = {"family": family, "init": init, family: options[1]}
        run = ready(run_space(IMAGES, teacher=teacher, student=student))
        known[init] = [accuracy_of(*begun(run, seed)) for seed in range(3)]
    assert min(known["inherit"]) > max(known["default"])


def accuracy_of(student: nn.Module, materials: Materials) -> float:
    return evaluate(student, materials.validation_inputs, materials.validation_labels, None, Shard())["accuracy"]


@pytest.mark.parametrize(("have", "wanted"), [(3, 2), (5, 3), (5, 2), (2, 3), (3, 4), (1, 4)])
def test_kernels_of_another_size_keep_their_middle_or_have_zeros_around(have: int, wanted: int) -> None:
    kernels = torch.arange(1.0, have * have + 1).view(1, 1, have, have)
    fitted = _fitted(kernels, torch.Size([wanted, wanted]))
    first = abs(wanted - have) // 2 if wanted > have else (have - wanted + 1) // 2
    if wanted > have:
        expected = torch.zeros(1, 1, wanted, wanted)
        expected[..., first : first + have, first : first + have] = kernels
    else:
        expected = kernels[..., first : first + wanted, first : first + wanted]
    assert torch.equal(fitted, expected)
