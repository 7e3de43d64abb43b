"""`teacher` of `summary.json`: what the teacher costs, how good it is, and how much of it students learn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from distill_tune.config import Config
from distill_tune.distillation.cache.sparse import kept
from distill_tune.distillation.preparation.how_good import HowGood
from distill_tune.students import multiply_adds
from distill_tune.teachers import LoadedTeacher

if TYPE_CHECKING:
    from distill_tune.tuning.verdict.examination import Examination


def teacher_of(
    teacher: LoadedTeacher,
    examination: Examination,
    input_shape: tuple[int, ...],
    on_validation: Mapping[str, HowGood] = MappingProxyType({}),
) -> dict[str, Any]:
    """`teacher` of the summary; with several, the winner's mix and each member."""
    validated = {name: {"validation": asdict(found)} for name, found in on_validation.items()}
    told = {"test": {"accuracy": examination.teacher_accuracy}, **_cost_of(teacher, input_shape), **teacher.record}
    told |= validated.get("", {})
    if teacher.mix is None:
        return told
    return told | {
        "members": {
            name: {
                "weight": teacher.mix.weights.get(name, 0.0),
                "test": {"accuracy": examination.member_accuracies[name]},
                **_cost_of(member, input_shape),
                **member.record,
                **validated.get(name, {}),
            }
            for name, member in teacher.members.items()
        }
    }


def kept_logits(config: Config, classes: int) -> int | None:
    """`teacher.kept_logits`: how many of a sample's logits students learn from; None if from all."""
    return kept(config.teacher.keep, classes) if config.teacher.mode == "cached" else None


def _cost_of(teacher: LoadedTeacher, input_shape: tuple[int, ...]) -> dict[str, int | None]:
    return {"parameters": teacher.parameters, "multiply_adds": _multiply_adds(teacher, input_shape)}


def _multiply_adds(teacher: LoadedTeacher, input_shape: tuple[int, ...]) -> int | None:
    """For several, the sum over those in the mix; None if a network runs outside PyTorch, as an ONNX model does."""
    if teacher.mix is not None:
        counts = [_multiply_adds(teacher.members[name], input_shape) for name in teacher.mix.weights]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None
    return 0 if teacher.module is None else multiply_adds(teacher.module, input_shape) or None
