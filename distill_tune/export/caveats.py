"""What makes verdicts say little, in sentences that stand beside them: few seeds, or a teacher that knows nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_FEW_SEEDS = 3
"""Up to this many seeds, an interval over them says little: with two, it is 12.7 standard errors to each side."""


def caveat_sentences(summary: dict[str, Any]) -> list[str]:
    """The sentences of one search; none if nothing has to be said."""
    return [*_few_seeds_sentences(summary), *_useless_teacher_sentences(summary)]


def _few_seeds_sentences(summary: dict[str, Any]) -> list[str]:
    of_winner = summary["best"]["test"]["accuracy"]["seeds"]
    seeds = min((found.get("seeds", of_winner) for found in summary["verdict"].values()), default=of_winner)
    if seeds > _FEW_SEEDS:
        return []
    configured = summary["best"]["config"].get("confirm", {}).get("seeds")
    is_wanted = configured is not None and configured <= seeds  # otherwise time or failures have left so few
    return [f"Only {seeds} seeds: intervals over so few say little{'; raise confirm.seeds' if is_wanted else ''}."]


def _useless_teacher_sentences(summary: dict[str, Any]) -> list[str]:
    """One sentence per teacher that has no merit; older summaries do not record `validation`.

    Also of those outside the winner's mix, because default distillation has the mix that the file sets.
    """
    teacher = summary["teacher"]
    each = {"": teacher, **{f" {name}": member for name, member in teacher.get("members", {}).items()}}
    found = {name: (record, record["validation"]) for name, record in each.items() if "validation" in record}
    return [
        f"The teacher{name} was no better on validation ({of['accuracy']:.2%}) than always the commonest class "
        f"({of['commonest_class']:.2%}): {_doubt(record)}, and a lead over distillation from it says little."
        for name, (record, of) in found.items()
        if of["accuracy"] <= of["commonest_class"]
    ]


def _doubt(teacher: Mapping[str, Any]) -> str:
    if "training" in teacher:
        return "it may have trained too briefly"
    weights = "" if _has_logits_alone(teacher) else "its weights, "
    return f"{weights}the order of its classes, or {suspects([teacher])}, may be wrong"


def suspects(teachers: Iterable[Mapping[str, Any]]) -> str:
    """What may be wrong with teachers supplied by the user; for a table of logits only the order of its rows can be."""
    kinds = {_has_logits_alone(teacher) for teacher in teachers}
    told = {False: "what it is given", True: "the order of its rows (it must be the data's)"}
    return ", or ".join(told[kind] for kind in sorted(kinds))


def _has_logits_alone(teacher: Mapping[str, Any]) -> bool:
    return teacher.get("multiply_adds") == 0
