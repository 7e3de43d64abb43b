"""How a student begins: contract of every initialisation, and what each does to the weights."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from optuna import create_study
from optuna.samplers import RandomSampler
from runs import IMAGES, TABLE, run_space
from torch import Tensor, nn

from distill_tune.config import Config, Space, tables_of
from distill_tune.distillation.cache.weights import norm_of
from distill_tune.distillation.data_parallel import Shard
from distill_tune.distillation.initialisation import Initialisation
from distill_tune.distillation.initialisation._carrying import carry
from distill_tune.distillation.initialisation._reading import check_reading
from distill_tune.distillation.initialisation._wiring import CLASSES, INPUT, evenly_spaced, wiring_of
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.distillation.training.loop import Checkpoint, Epoch, distill
from distill_tune.distillation.training.validation import evaluate
from distill_tune.errors import ConfigError, InputError, TeacherError
from distill_tune.registry import INITIALISATIONS, STUDENTS
from distill_tune.students import behind_normalisation, build_student

Ready = Callable[[Space], tuple[Config, Any]]
RESNET = {"family": "resnet", "resnet": {"width": 8, "depth": 2}, "train": {"epochs": 1}}
STARTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "mlp": (TABLE, {"widths": [32, 24]}, {"widths": [32, 6]}),
    "convnet": (IMAGES, {"width": 4, "depth": 3}, {"width": 4, "depth": 2}),
    "resnet": (IMAGES, {"width": 4, "depth": 2}, {"width": 4, "depth": 1}),
}
"""Family to data, teacher and a student whose first layer is the teacher's."""
CASES = [(init, family) for init in INITIALISATIONS.names for family in STARTS]
every_init = pytest.mark.parametrize("init", INITIALISATIONS.names)
every_case = pytest.mark.parametrize(("init", "family"), CASES)


def space_of(init: str, family: str, student: dict[str, Any] | None = None, **sections: Any) -> Space:
    base, teacher, usual = STARTS[family]
    return run_space(
        base,
        **{
            "teacher": {"family": family, family: teacher, "train": {"epochs": 2}},
            "student": {"family": family, "init": init, family: student or usual},
            **sections,
        },
    )


def begun(run: tuple[Config, Any], seed: int = 0) -> tuple[nn.Module, Materials]:
    """A student as it begins."""
    config, preparation = run
    materials = Materials.open(preparation.prepared, config)
    torch.manual_seed(seed)
    student = materials.build_student(config)
    config.student.chosen("init").begin(student, config, materials)
    return student, materials


def copied(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in state.items()}


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def epochs_of(run: tuple[Config, Any], resume: Checkpoint | None = None) -> Iterator[Epoch]:
    config, preparation = run
    return distill(config, Materials.open(preparation.prepared, config), 0, resume=resume)


# Every initialisation


@every_case
def test_it_changes_values_and_neither_shapes_nor_types(init: str, family: str, ready: Ready) -> None:
    run = ready(space_of(init, family))
    state, plain = begun(run)[0].state_dict(), begun(ready(space_of("default", family)))[0].state_dict()
    assert {n: (t.shape, t.dtype) for n, t in state.items()} == {n: (t.shape, t.dtype) for n, t in plain.items()}
    assert all(tensor.isfinite().all() for tensor in state.values())
    assert equal(state, plain) == (init == "default")


@every_case
def test_all_weights_can_be_trained_and_none_is_shared_with_the_teacher(init: str, family: str, ready: Ready) -> None:
    student, _ = begun(ready(space_of(init, family)))
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in student.parameters())
    begin = copied(begun(ready(space_of(init, family)))[0].state_dict())
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.zero_()
    assert equal(begin, begun(ready(space_of(init, family)))[0].state_dict())


@every_case
def test_a_seed_begins_the_same_and_what_is_drawn_hangs_on_it(init: str, family: str, ready: Ready) -> None:
    run = ready(space_of(init, family))
    assert equal(begun(run, 1)[0].state_dict(), begun(run, 1)[0].state_dict())
    if not init.startswith("inherit"):  # of which nothing is drawn, where the student is nowhere wider
        assert not equal(begun(run, 1)[0].state_dict(), begun(run, 2)[0].state_dict())


@every_init
def test_a_training_that_is_resumed_ends_as_the_undisturbed_one(init: str, ready: Ready) -> None:
    run = ready(
        space_of(
            init,
            "mlp",
            optim={"kind": "adamw", "weight_decay": 0.1, "batch_size": 64},
            regularization={"norm_ratio": 0.5},
            search={"max_epochs": 4},
        )
    )
    whole = [saved_and_read(epoch.checkpoint()) for epoch in epochs_of(run)]
    for done in range(1, 4):
        *_, last = epochs_of(run, resume=whole[done - 1])
        assert equal(last.student.state_dict(), whole[-1]["student"])


def saved_and_read(checkpoint: Checkpoint) -> Checkpoint:
    file = io.BytesIO()
    torch.save(checkpoint, file)
    file.seek(0)
    read: Checkpoint = torch.load(file, weights_only=True)
    return read


@every_init
def test_the_winners_run_trains_again_by_itself(init: str, tmp_path: Path) -> None:
    """As `best/run.toml`: its own preparation, elsewhere, gives the same student."""
    space = space_of(init, "mlp", regularization={"norm_ratio": 0.8})
    trained = []
    for each in (space, Space.parse(tables_of(space.config))):
        preparation = prepare(each, tmp_path / str(len(trained)), lambda line: None)
        *_, last = epochs_of((each.config, preparation))
        trained.append(last.student.state_dict())
    assert equal(*trained)


# Gaussian


def test_gaussian_weights_have_the_deviation_asked_for_and_norms_are_left_alone(ready: Ready) -> None:
    space = space_of("gaussian", "convnet", {"width": 16, "depth": 3})
    for std in (0.02, 0.3):
        config, preparation = ready(space.with_fixed("student", "gaussian", {"std": std}))
        student, _ = begun((config, preparation))
        for module in student.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                count = module.weight.numel()
                assert float(module.weight.detach().std()) == pytest.approx(std, rel=4 / count**0.5)
                assert abs(float(module.weight.detach().mean())) < 4 * std / count**0.5
                assert module.bias is None or not module.bias.any()
            elif isinstance(module, nn.BatchNorm2d):
                assert (module.weight == 1).all()


class Parts(nn.Module):
    """Layers whose weights have names of their own, and what is no weight."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, kdim=6)
        self.recurrent = nn.GRU(8, 5, num_layers=2)
        self.words = nn.Embedding(9, 8)
        self.norm = nn.LayerNorm((4, 8))
        self.token = nn.Parameter(torch.ones(1, 8))
        self.bias_of_places = nn.Parameter(torch.ones(3, 8))


def test_gaussian_knows_weights_and_biases_by_their_names_and_norms_by_their_kind() -> None:
    torch.manual_seed(0)
    parts = Parts()
    with torch.no_grad():
        for name, parameter in parts.named_parameters():
            parameter.fill_(-1.0 if "bias" in name else 1.0)
    config: Any = None  # which it does not read
    INITIALISATIONS.get("gaussian")(std=0.3).begin(parts, config, config)
    for name, parameter in parts.named_parameters():
        if name.startswith("norm.") or name in ("token", "bias_of_places"):
            assert (parameter.abs() == 1).all(), name
        elif "bias" in name:
            assert not parameter.any(), name
        else:
            assert float(parameter.detach().std()) == pytest.approx(0.3, rel=0.5), name


# Inherit

WHOLE = [
    ("mlp", {"widths": [9, 5, 7]}, (6,)),
    ("mlp", {"widths": [5]}, (1, 4, 4)),
    ("convnet", {"width": 4, "depth": 3}, (1, 8, 8)),
    ("convnet", {"width": 4, "depth": 3, "separable": True, "kernel": 5, "norm": "none"}, (3, 8, 8)),
    ("convnet", {"width": 4, "depth": 2, "separable": True}, (1, 8, 8)),
    ("resnet", {"width": 4, "depth": 2, "stages": 3}, (1, 16, 16)),
    ("resnet", {"width": 8, "depth": 2}, (6,)),
]
every_whole = pytest.mark.parametrize(("family", "options", "shape"), WHOLE, ids=str)


def random_network(family: str, options: dict[str, Any], shape: tuple[int, ...], seed: int) -> nn.Module:
    """With batch statistics, scales and shifts of its own."""
    torch.manual_seed(seed)
    mean = [0.5] * shape[0] if len(shape) == 3 else []
    student = build_student(STUDENTS.get(family)(**options), shape, 4, mean, [2.0] * len(mean)).eval()
    with torch.no_grad():
        for module in student.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    assert tensor is not None
                    tensor.uniform_(0.5, 1.5)
    return student


@every_whole
def test_a_student_built_like_its_teacher_begins_as_its_teacher(
    family: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    teacher, student = (random_network(family, options, shape, seed) for seed in (0, 1))
    inputs = torch.randn(20, *shape)
    with torch.no_grad():
        assert not torch.allclose(student(inputs), teacher(inputs), atol=1e-3)
        assert carry(teacher, student).is_whole
        torch.testing.assert_close(student(inputs), teacher(inputs), atol=1e-4, rtol=1e-4)


@every_whole
def test_units_that_do_nothing_are_what_a_narrower_student_leaves_behind(
    family: str, options: dict[str, Any], shape: tuple[int, ...]
) -> None:
    """So many units of each space of the teacher are dead, wherever they are, that the living fit."""
    teacher = random_network(family, {**options, **doubled(options)}, shape, 0)
    kill_half(teacher)
    student = random_network(family, options, shape, 1)
    inputs = torch.randn(20, *shape)
    with torch.no_grad():
        assert not carry(teacher, student).is_whole
        torch.testing.assert_close(student(inputs), teacher(inputs), atol=1e-4, rtol=1e-4)


def doubled(options: dict[str, Any]) -> dict[str, Any]:
    if "widths" in options:
        return {"widths": [2 * width for width in options["widths"]]}
    return {"width": 2 * options["width"]}


@torch.no_grad()
def kill_half(teacher: nn.Module) -> None:
    """Half of the units of each space get no input and give none."""
    wiring = wiring_of(teacher.network)  # type: ignore[arg-type]
    sizes = {layer.outputs: len(layer.module.weight) for layer in wiring.layers}  # type: ignore[arg-type]
    dead = {s: torch.randperm(n)[: n // 2] for s, n in sizes.items() if s not in (INPUT, CLASSES)}
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
    """An mlp's narrower weights and biases, by the rule as it is documented; for ReLU and equal depth."""
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
    assert len(inputs) <= 512  # then all are looked at
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
    for row in ours[0]:  # a row of the teacher's first layer, up to a scale
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


# Inherit, progressive


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_inherited_units_stand_still_until_their_turn_the_largest_first(optimizer: str, ready: Ready) -> None:
    space = space_of(
        "inherit_progressive",
        "mlp",
        {"widths": [12, 10]},
        optim={"kind": optimizer, "weight_decay": 0.1, "batch_size": 64, "schedule": "constant"},
        search={"max_epochs": 5},
    ).with_fixed("student", "inherit_progressive", {"free_by": 0.8})
    run = ready(space)
    begin = copied(begun(ready(space_of("inherit", "mlp", {"widths": [12, 10]})))[0].state_dict())
    steps = 6  # of an epoch: 384 rows in batches of 64
    for epoch in epochs_of(run):
        progress = (epoch.report["epoch"] * steps - 1) / (5 * steps)
        for name, count in (("network.1", 12), ("network.3", 10)):
            for kind in ("weight", "bias"):
                now, old = epoch.student.state_dict()[f"{name}.{kind}"], begin[f"{name}.{kind}"]
                moved = [not torch.equal(a, b) for a, b in zip(now, old, strict=True)]
                assert moved == [unit / count * 0.8 <= progress + 1e-9 for unit in range(count)]
        assert not torch.equal(epoch.student.state_dict()["network.5.weight"], begin["network.5.weight"])
    assert all(moved)


def test_units_of_normalised_layers_stand_still_with_their_scale_and_shift(ready: Ready) -> None:
    space = space_of("inherit_progressive", "convnet", {"width": 3, "depth": 2}, search={"max_epochs": 2})
    config, preparation = ready(space.with_fixed("student", "inherit_progressive", {"free_by": 1.0}))
    begin = copied(begun((config, preparation))[0].state_dict())
    first = next(epochs_of((config, preparation))).student
    for name, parameter in first.named_parameters():
        if not name.startswith("network.8"):  # the head
            last = len(parameter) - 1
            assert torch.equal(parameter[last], begin[name][last])
            assert not torch.equal(parameter[0], begin[name][0])


# Truncate


def test_a_truncated_student_has_the_teachers_first_layers_and_new_ones_behind(ready: Ready) -> None:
    space = space_of("truncate", "mlp", {"widths": [32, 24]}).with_fixed("student", "truncate", {"layers": 2})
    run = ready(space)
    student, teacher = begun(run)[0].state_dict(), run[1].teacher.module.state_dict()
    plain = begun(ready(space_of("default", "mlp", {"widths": [32, 24]})))[0].state_dict()
    for name, tensor in student.items():
        assert torch.equal(tensor, plain[name] if name.startswith("network.5") else teacher[name])


@pytest.mark.parametrize("family", ["convnet", "resnet"])
def test_a_truncated_network_sees_what_the_teacher_sees_after_its_first_layers(family: str, ready: Ready) -> None:
    run = ready(space_of("truncate", family))
    student, materials = begun(run)
    maps = []
    for network in (student.eval(), run[1].teacher.module):
        first = nn.Sequential(network.normalise, *list(network.network.children())[:2])
        maps.append(first(materials.train_inputs[:10]).detach())
    assert torch.equal(*maps)


@pytest.mark.parametrize(
    ("family", "student", "layers", "said"),
    [
        (
            "mlp",
            {"widths": [32, 20]},
            2,
            "student.init: 'truncate' takes the teacher's first 2 layers as they are, so student.mlp.widths must begin "
            "with [32, 24], but is [32, 20].",
        ),
        (
            "mlp",
            {"width": 20, "depth": 3},
            1,
            "student.init: 'truncate' takes the teacher's first layer as it is, so student.mlp.widths must begin with "
            "[32], but is [20, 20, 20].",
        ),
        (
            "mlp",
            {"widths": [32]},
            2,
            "student.truncate.layers: must be at most 1 (the teacher has 2 layers, the student 1), but got 2.",
        ),
        (
            "convnet",
            {"width": 8, "kernel": 5, "norm": "none"},
            1,
            "student.init: 'truncate' takes the teacher's first layer as it is, but the student's look otherwise; "
            "write student.convnet.width = 4, student.convnet.kernel = 3, student.convnet.norm = 'batch'.",
        ),
    ],
)
def test_layers_that_do_not_fit_are_refused_with_what_to_write(
    family: str, student: dict[str, Any], layers: int, said: str, tmp_path: Path
) -> None:
    space = space_of("truncate", family, student).with_fixed("student", "truncate", {"layers": layers})
    assert refused(space, tmp_path) == said


# What is refused before anything is trained


def refused(space: Space, folder: Path, kind: type[InputError] = ConfigError) -> str:
    with pytest.raises(kind) as caught:
        prepare(space, folder, lambda line: None)
    assert not list(folder.glob("teacher-*/*"))
    return str(caught.value)


NEEDY = [name for name in INITIALISATIONS.names if INITIALISATIONS.get(name).needs_teacher]


@pytest.mark.parametrize("init", NEEDY)
def test_a_teacher_of_another_family_is_refused(init: str, tmp_path: Path) -> None:
    space = run_space(IMAGES, student={"family": "mlp", "init": init})
    assert refused(space, tmp_path) == (
        f"student.init: '{init}' needs a student of the teacher's family ('convnet'), but got 'mlp'; make both one "
        "family, or choose another init."
    )


@pytest.mark.parametrize("init", NEEDY)
def test_a_space_is_refused_for_any_student_of_it(init: str, tmp_path: Path) -> None:
    student = {"family": ["convnet", "mlp"], "init": ["default", init], "convnet": {"width": 8}}
    space = run_space(IMAGES, student=student)
    assert "but got 'mlp'" in refused(space, tmp_path)


def test_a_space_is_refused_for_any_width_of_it(tmp_path: Path) -> None:
    said = refused(space_of("truncate", "convnet", {"width": {"choice": [4, 8]}}), tmp_path)
    assert said.endswith("write student.convnet.width = 4.")


@pytest.mark.parametrize("init", ["inherit", "inherit_progressive"])
def test_a_family_of_ones_own_is_refused(init: str, tmp_path: Path) -> None:
    name = "test_initialisation:plain"
    space = run_space(TABLE, student={"family": name, "init": init}, teacher={"family": name})
    said = refused(space, tmp_path)
    assert said.startswith(
        f"student.init: '{init}' knows the layers of mlp, convnet, resnet, but not those of '{name}'"
    )


def plain(input_shape: tuple[int, ...], classes: int) -> nn.Module:
    return nn.Linear(input_shape[0], classes)


@pytest.fixture
def logits_of_blobs(tmp_path: Path) -> str:
    np.save(tmp_path / "logits.npy", np.random.default_rng(0).normal(size=(600, 4)))
    return str(tmp_path / "logits.npy")


@pytest.mark.parametrize("init", NEEDY)
def test_logits_have_no_weights_to_begin_with(init: str, logits_of_blobs: str, tmp_path: Path) -> None:
    logits = {"source": "logits", "path": logits_of_blobs}
    said = refused(run_space(TABLE, teacher=logits, student={"init": init}), tmp_path)
    assert said == (
        f"student.init: '{init}' needs the teacher's weights, but source = 'logits' has only logits; name a teacher "
        "that can run, or leave it out."
    )


def mlp_of_blobs(width: int) -> nn.Module:
    network: nn.Module = STUDENTS.get("mlp")(widths=[width]).build((8,), 4)
    return network


@pytest.fixture
def torch_teacher(tmp_path: Path) -> dict[str, Any]:
    torch.manual_seed(0)
    torch.save(mlp_of_blobs(20).state_dict(), tmp_path / "weights.pt")
    options = {"factory": "test_initialisation:mlp_of_blobs", "arguments": {"width": 20}}
    return {"source": "torch", "path": str(tmp_path / "weights.pt"), "torch": options}


def test_a_torch_teacher_is_inherited_from_where_its_family_is_told(torch_teacher: Any, ready: Ready) -> None:
    teacher = {**torch_teacher, "family": "mlp", "mlp": {"widths": [20]}}
    space = run_space(TABLE, teacher=teacher, student={"init": "inherit", "mlp": {"widths": [20]}})
    config, preparation = ready(space)
    student, materials = begun((config, preparation))
    inputs = materials.train_inputs[:50]
    with torch.no_grad():
        torch.testing.assert_close(student(inputs), preparation.teacher.module(inputs), atol=1e-5, rtol=1e-5)


def test_a_torch_teacher_whose_family_is_not_told_or_told_wrongly_is_refused(
    torch_teacher: Any, tmp_path: Path
) -> None:
    inherit = {"init": "inherit"}
    said = refused(run_space(TABLE, teacher={**torch_teacher, "family": None}, student=inherit), tmp_path)
    assert said.startswith("student.init: 'inherit' must know how the teacher is built, but teacher.family is not set;")
    wrong = {**torch_teacher, "family": "mlp", "mlp": {"widths": [21]}}
    said = refused(run_space(TABLE, teacher=wrong, student=inherit), tmp_path, TeacherError)
    assert said.startswith(
        "teacher.family: the teacher's weights are not those of 'mlp' with the options of its table ("
    )
    assert "\n" not in said


# A teacher that reads its inputs in its own way


def mlp_of_digits(width: int) -> nn.Module:
    network: nn.Module = STUDENTS.get("mlp")(widths=[width]).build((1, 8, 8), 10)
    return network


def convnet_of_digits(width: int) -> nn.Module:
    network: nn.Module = STUDENTS.get("convnet")(width=width, depth=2).build((1, 8, 8), 10)
    return network


def other_reader(folder: Path, init: str, factory: str = "mlp_of_digits", depth: int = 2) -> Space:
    """A teacher of images with a mean and a deviation of its own, and a student built like it."""
    torch.manual_seed(0)
    torch.save(globals()[factory](12).state_dict(), folder / "weights.pt")
    made_by = {"factory": f"test_initialisation:{factory}", "arguments": {"width": 12}, "mean": [0.1], "std": [0.02]}
    family, options = ("mlp", {"widths": [12]}) if factory == "mlp_of_digits" else ("convnet", {"width": 12})
    options |= {"depth": depth} if family == "convnet" else {}
    teacher = {"source": "torch", "path": str(folder / "weights.pt"), "torch": made_by, "family": family}
    base = {**IMAGES, "teacher": {}, "student": {}}
    return run_space(
        base, teacher={**teacher, family: options}, student={"family": family, "init": init, family: options}
    )


@pytest.mark.parametrize("init", ["inherit", "inherit_progressive"])
@pytest.mark.parametrize("factory", ["mlp_of_digits", "convnet_of_digits"])
def test_a_student_built_like_a_teacher_that_reads_otherwise_begins_as_it(
    init: str, factory: str, tmp_path: Path, ready: Ready
) -> None:
    config, preparation = ready(other_reader(tmp_path, init, factory))
    student, materials = begun((config, preparation))
    inputs = materials.train_inputs[:50]
    with torch.no_grad():
        expected = preparation.teacher.module(inputs)
        torch.testing.assert_close(student.eval()(inputs), expected, atol=1e-3, rtol=1e-4)


def test_a_truncated_student_reads_its_inputs_as_the_teacher_does(tmp_path: Path, ready: Ready) -> None:
    config, preparation = ready(other_reader(tmp_path, "truncate"))
    student, materials = begun((config, preparation))
    inputs = materials.train_inputs[:50]
    seen = [nn.Sequential(each.normalise, *each.network[:2])(inputs) for each in (student, preparation.teacher.module)]  # type: ignore[index]
    assert torch.equal(*seen)


@pytest.mark.parametrize("mean", [[1.0, 1.0, 1.0], [1.0, 2.0, 3.0]], ids=["alike", "each its own"])
def test_a_teacher_that_tells_more_channels_apart_than_there_are_is_refused(mean: list[float]) -> None:
    teacher = behind_normalisation(nn.Flatten(), (3, 8, 8), mean, [2.0] * 3)
    if len(set(mean)) == 1:
        check_reading("truncate", (1, 8, 8), teacher)
        return
    with pytest.raises(TeacherError, match=r"has 3 numbers for its mean and the images have 1 channel; set mean"):
        check_reading("truncate", (1, 8, 8), teacher)


# In a space


def test_options_exist_only_for_the_initialisation_that_was_chosen() -> None:
    student = {
        "init": ["default", "gaussian", "inherit_progressive"],
        "gaussian": {"std": {"log": [0.01, 0.1]}},
        "inherit_progressive": {"free_by": {"uniform": [0.1, 1.0]}},
    }
    space = run_space(TABLE, student=student)
    options = {"default": set(), "gaussian": {"student.gaussian.std"}}
    options["inherit_progressive"] = {"student.inherit_progressive.free_by"}
    study = create_study(sampler=RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        values = space.suggest(study.ask())
        assert set(values) == {"student.init"} | options[values["student.init"]]
        config = space.at(values)
        assert set(config.student.tables) <= {"mlp", values["student.init"]}
        seen.add(config.student.init)
    assert seen == set(options)


class Ones(Initialisation):
    """A user's own."""

    factor: float = 1.0

    def begin(self, student: nn.Module, config: Config, materials: Materials) -> None:
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.fill_(self.factor)


def test_an_initialisation_of_ones_own_is_begun_with(ready: Ready) -> None:
    name = "test_initialisation:Ones"
    run = ready(run_space(TABLE, student={"init": name, name: {"factor": 0.5}}))
    student, _ = begun(run)
    assert all((parameter == 0.5).all() for parameter in student.parameters())
    waiting = run_space(TABLE, student={"init": ["default", name], name: {"factor": {"uniform": [0.0, 1.0]}}})
    assert not waiting.at({"student.init": "default"}).student.tables.keys() & {name}


def test_a_file_of_weights_is_written_only_where_something_asks_for_it(tmp_path: Path) -> None:
    for sections, count in (({}, 0), ({"student": {"init": ["default", "inherit"]}}, 1)):
        prepare(run_space(TABLE, **sections), tmp_path, lambda line: None)
        assert len(list(tmp_path.glob("teacher-*/weights.safetensors"))) == count


def test_a_damaged_file_of_weights_is_written_again(tmp_path: Path) -> None:
    space = run_space(TABLE, regularization={"norm_ratio": 1.0})
    prepare(space, tmp_path, lambda line: None)
    (file,) = tmp_path.glob("teacher-*/weights.safetensors")
    whole = file.read_bytes()
    for damaged in (b"", whole[:-1], whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]):
        file.write_bytes(damaged)
        preparation = prepare(space, tmp_path, lambda line: None)
        assert file.read_bytes() == whole
    weights = Materials.open(preparation.prepared, space.config).teacher_weights
    assert weights is not None
    assert weights.norm == norm_of(preparation.teacher.module)
