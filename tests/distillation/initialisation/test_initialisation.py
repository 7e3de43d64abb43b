"""How a student begins: the contract of every initialisation, and its options in a space."""

from pathlib import Path
from typing import Any

import pytest
import torch
from beginnings import STARTS, begun, copied, space_of
from optuna import create_study
from optuna.samplers import RandomSampler
from runs import TABLE, run_space
from small_trainings import Ready, epochs_of, equal, saved_and_read
from torch import nn

from distill_tune.config import Config, Space, tables_of
from distill_tune.distillation.cache.weights import norm_of
from distill_tune.distillation.initialisation import Initialisation
from distill_tune.distillation.materials.materials import Materials
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.registry import INITIALISATIONS

CASES = [(init, family) for init in INITIALISATIONS.names for family in STARTS]
every_init = pytest.mark.parametrize("init", INITIALISATIONS.names)
every_case = pytest.mark.parametrize(("init", "family"), CASES)


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
    if not init.startswith("inherit"):  # these draw nothing unless the student is wider somewhere
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


@every_init
def test_the_winners_run_trains_again_by_itself(init: str, tmp_path: Path) -> None:
    """As from `best/run.toml`: a separate preparation elsewhere gives the same student."""
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
    """Layers with unusual names of weights, and parameters that are not weights."""

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
    config: Any = None  # the initialisation does not read it
    INITIALISATIONS.get("gaussian")(std=0.3).begin(parts, config, config)
    for name, parameter in parts.named_parameters():
        if name.startswith("norm.") or name in ("token", "bias_of_places"):
            assert (parameter.abs() == 1).all(), name
        elif "bias" in name:
            assert not parameter.any(), name
        else:
            assert float(parameter.detach().std()) == pytest.approx(0.3, rel=0.5), name


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
    """A custom initialisation."""

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
