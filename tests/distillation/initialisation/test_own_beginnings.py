"""A custom initialisation that leaves no student to train is refused, in one line, once data and teacher are ready."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from small_trainings import Ready, weights_after
from torch import nn

from distill_tune.config import Space
from distill_tune.distillation.holding import Hold
from distill_tune.distillation.initialisation import Initialisation
from distill_tune.distillation.preparation.prepare import prepare
from distill_tune.errors import ConfigError
from distill_tune.export.cache_use import nothing_left_on_refusal
from distill_tune.export.result_folder import SHARED_CACHE

Make = Callable[..., Space]


class Freezing(Initialisation):
    """Freezes every parameter."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> None:
        student.requires_grad_(False)


class Growing(Initialisation):
    """Adds a layer to the network."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> None:
        student.more = nn.Linear(3, 2)


class Cutting(Initialisation):
    """Removes a bias."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> None:
        next(module for module in student.modules() if isinstance(module, nn.Linear)).bias = None


class Undefined(Initialisation):
    """Divides by zero."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> None:
        with torch.no_grad():
            next(student.parameters()).div_(0)


class Answering(Initialisation):
    """Returns something that is not a hold."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> Any:
        return student


class Reading(Initialisation):
    """Reads the teacher's weights without declaring it."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> None:
        materials.teacher_weights.state()


class Saying(Reading):
    """Reads them too, but declares it."""

    needs_teacher: ClassVar[bool] = True


class Missing(Initialisation):
    """Raises an error."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> None:
        raise KeyError("head")


class Halving(Initialisation):
    """Sets weights and holds some, as allowed."""

    def begin(self, student: nn.Module, config: Any, materials: Any) -> Hold:
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.div_(2)
        return Hold(student, {name: 1 for name, parameter in student.named_parameters() if parameter.dim() > 1})


def own(kind: type[Initialisation]) -> str:
    return f"test_own_beginnings:{kind.__name__}"


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Freezing, " must leave a weight that learns, but freezes all of them; mend its `begin`."),
        (Growing, " must set the weights that there are, but makes more.weight [2, 3] where there was nothing; mend"),
        (Cutting, " must set the weights that there are, but makes network.1.bias nothing where there was [12]; mend"),
        (Undefined, " must leave finite weights, but sets some that are not; mend its `begin`."),
        (Reading, " reads the teacher's weights, which are there where it says so; write `needs_teacher = True` in"),
    ],
)
def test_what_leaves_no_student_to_train_is_refused(
    kind: type[Initialisation], told: str, table_space: Make, ready: Ready
) -> None:
    with pytest.raises(ConfigError) as refused:
        ready(table_space(student={"init": own(kind)}))
    assert str(refused.value).startswith(f"student.init: '{own(kind)}'{told}")


def test_what_gives_something_else_than_a_hold_is_refused(table_space: Make, ready: Ready) -> None:
    with pytest.raises(ConfigError, match="must give nothing, or a Hold of what stands still for a while, but gave"):
        ready(table_space(student={"init": own(Answering)}))


def test_what_raises_is_told_with_its_place(table_space: Make, ready: Ready) -> None:
    with pytest.raises(ConfigError, match=r"Missing\.begin in test_own_beginnings\.py, line \d+, has raised KeyError"):
        ready(table_space(student={"init": own(Missing)}))


@pytest.mark.parametrize("kind", [Saying, Halving])
def test_what_keeps_to_the_rules_is_trained(kind: type[Initialisation], table_space: Make, ready: Ready) -> None:
    weights = weights_after(ready(table_space(student={"init": own(kind)})))
    assert all(tensor.isfinite().all() for tensor in weights.values())


def test_weights_that_another_space_has_left_are_not_read_by_who_does_not_say_so(
    table_space: Make, ready: Ready
) -> None:
    ready(table_space(student={"init": own(Saying)}))
    with pytest.raises(ConfigError, match="Reading' reads the teacher's weights, which are there where it says so"):
        ready(table_space(student={"init": own(Reading)}))


def test_of_a_choice_each_is_tried(table_space: Make, ready: Ready) -> None:
    with pytest.raises(ConfigError, match="Freezing' must leave a weight that learns"):
        ready(table_space(student={"init": {"choice": ["default", own(Halving), own(Freezing)]}}))


def test_a_teacher_that_was_trained_before_the_refusal_is_found_again(table_space: Make, tmp_path: Path) -> None:
    cache, first, second = tmp_path / SHARED_CACHE, list[str](), list[str]()
    with pytest.raises(ConfigError, match="Freezing' must leave"), nothing_left_on_refusal(tmp_path):
        prepare(table_space(student={"init": own(Freezing)}), cache, first.append)
    assert any("training the teacher" in line for line in first)
    assert [path.name.partition("-")[0] for path in cache.iterdir()] == ["teacher"]
    prepare(table_space(), cache, second.append)
    assert not any("training the teacher" in line or "teacher labels" in line for line in second)
