"""A custom family declares its wiring wrongly, or not at all."""

from pathlib import Path
from typing import Any

import pytest
import torch
from beginnings import NEEDY, OWN, begun, refused, space_of
from odd_students import Skipping
from runs import TABLE, run_space
from small_trainings import Ready
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from distill_tune.config import Space
from distill_tune.errors import ConfigError
from distill_tune.students import CLASSES, HEAD, INPUT, STEM, Student, Wiring


def both(family: str, init: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Space:
    """A space with a teacher and a student of the same family."""
    teacher = {"family": family, family: theirs, "train": {"epochs": 1, "precision": "float32"}}
    return run_space(TABLE, teacher=teacher, student={"family": family, "init": init, family: ours})


class Mistaken(Skipping):
    """Declares a wrong wiring, or returns none."""

    mistake: str = "nothing"

    def wiring(self, network: nn.Module) -> Any:
        if self.mistake == "nothing":
            return None
        wiring = Wiring(network)
        if self.mistake == "misspelt":
            wiring.add(STEM, "main", "stam", 0, wiring.new_group())
        if self.mistake == "unfit":
            wiring.add(STEM, "main", "stem", 0, wiring.new_group())
            wiring.add(HEAD, "main", "head", 0, 1)
        if self.mistake == "headless":
            wiring.add(STEM, "main", "stem", 0, wiring.new_group())
        return wiring


@pytest.mark.parametrize("init", NEEDY)
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("nothing", "wiring must return a distill_tune.students.Wiring, but got None."),
        ("misspelt", "AttributeError: Stream has no attribute `stam`"),
        ("unfit", "'head' reads 6 units of group 0, which has 8."),
        ("headless", "a layer must make the 4 units of CLASSES, but got None."),
    ],
)
def test_what_is_not_so_is_refused_before_anything_is_trained(
    mistake: str, said: str, init: str, tmp_path: Path
) -> None:
    name, options = "test_declared_wiring:Mistaken", {"mistake": mistake, "width": 6}
    message = refused(both(name, init, options, options), tmp_path)
    assert message == f"student.family: '{name}' cannot say how its layers hang together: {said}"


class Reparametrized(Skipping):
    """Computes a weight from its length and its direction."""

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        network = super().build(input_shape, classes)
        weight_norm(network.get_submodule("downs.0"))
        return network


@pytest.mark.parametrize("init", ["inherit", "inherit_progressive"])
def test_a_weight_that_is_computed_of_others_is_refused(init: str, tmp_path: Path) -> None:
    name = "test_declared_wiring:Reparametrized"
    assert refused(both(name, init, {"width": 8}, {"width": 6}), tmp_path) == (
        f"student.init: the layer 'downs.0' of '{name}' must keep its weight itself, but computes it, as weight or "
        "spectral normalisation does; leave that out, or choose another init."
    )


class Partial(Student):
    """Reads only the first features, and calls its first layer or uses that layer's weight."""

    features: int = 8
    idle: bool = False
    factor: float = 1.0

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return First(self.features, classes, self.idle, self.factor)

    def wiring(self, network: nn.Module) -> Wiring:
        wiring = Wiring(network)
        group = wiring.add(STEM, "main", "stem", INPUT, wiring.new_group())
        wiring.add(HEAD, "main", "head", group, CLASSES)
        return wiring


class First(nn.Module):
    def __init__(self, features: int, classes: int, idle: bool, factor: float):
        super().__init__()
        self.features, self.idle, self.factor = features, idle, factor
        self.stem, self.head = nn.Linear(features, 6), nn.Linear(6, classes)

    def forward(self, rows: Tensor) -> Tensor:
        rows = self.factor * rows[:, : self.features]
        hidden = nn.functional.linear(rows, self.stem.weight, self.stem.bias) if self.idle else self.stem(rows)
        logits: Tensor = self.head(hidden.relu())
        return logits


PARTIAL = "test_declared_wiring:Partial"


@pytest.mark.parametrize("init", ["inherit", "inherit_progressive"])
def test_a_teacher_that_reads_other_inputs_is_refused(init: str, tmp_path: Path) -> None:
    assert refused(both(PARTIAL, init, {"features": 8}, {"features": 5}), tmp_path) == (
        f"student.family: '{PARTIAL}' must have the same units of INPUT in teacher and student, but has 8 and 5; give "
        "both the same options there, or leave the layer that reads it out of the wiring."
    )


@pytest.mark.parametrize(("idle", "section"), [("theirs", "teacher"), ("ours", "student")])
def test_a_layer_that_does_not_run_is_refused(idle: str, section: str, ready: Ready) -> None:
    run = ready(both(PARTIAL, "inherit", {"idle": idle == "theirs"}, {"idle": idle == "ours"}))
    with pytest.raises(ConfigError) as caught:
        begun(run)
    assert str(caught.value) == (
        f"{section}.family: the layer 'stem' of its wiring must run in the forward pass, but does not; call the module "
        "itself there, or leave it out of the wiring."
    )


def test_options_that_a_network_does_not_show_tell_it_from_the_teacher(ready: Ready) -> None:
    student, materials = begun(run := ready(both(PARTIAL, "inherit", {"factor": 4.0}, {"factor": 1.0})))
    inputs = materials.train_inputs
    with torch.no_grad():  # the scale of the first layer compensates for the factor
        torch.testing.assert_close(student(inputs), run[1].teacher.module(inputs), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("init", NEEDY)
def test_what_the_teachers_options_cannot_say_is_told_of_the_teacher(init: str, tmp_path: Path) -> None:
    name = "test_declared_wiring:Halting"
    message = refused(both(name, init, {"halts": True}, {"halts": False}), tmp_path)
    assert message == f"teacher.family: '{name}' cannot say how its layers hang together: KeyError: 'halts'"


class Halting(Partial):
    """Cannot declare its wiring if `halts` is set."""

    halts: bool = False

    def wiring(self, network: nn.Module) -> Wiring:
        if self.halts:
            raise KeyError("halts")
        return super().wiring(network)


class Silent(Student):
    """Declares no wiring."""

    depth: int

    def build(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        hidden = [nn.Sequential(nn.Linear(input_shape[0], input_shape[0]), nn.ReLU()) for _ in range(self.depth)]
        return nn.Sequential(*hidden, nn.Linear(input_shape[0], classes))


def test_a_family_of_ones_own_that_says_nothing_is_truncated_by_the_names_of_its_blocks(ready: Ready) -> None:
    run = ready(both("test_declared_wiring:Silent", "truncate", {"depth": 3}, {"depth": 2}))
    student, teacher = begun(run)[0].state_dict(), run[1].teacher.module.state_dict()
    assert [name for name in student if torch.equal(student[name], teacher.get(name, torch.zeros(())))] == [
        "network.0.0.weight",
        "network.0.0.bias",
    ]


def test_a_family_of_ones_own_that_says_its_wiring_is_truncated_by_its_layers(ready: Ready) -> None:
    options = {"width": 16, "narrow": 6, "depth": 1}
    run = ready(space_of("truncate", OWN, options).with_fixed("student", "truncate", {"layers": 2}))
    student, teacher = begun(run)[0].state_dict(), run[1].teacher.module.state_dict()
    new = [name for name in student if not torch.equal(student[name], teacher[name])]
    assert new == ["network.head.weight", "network.head.bias"]
